"""Run every campaign, each in a process of its own and bounded in time, and keep what they found as text.

    python -m tests.campaigns --seconds 3000

``results.txt`` holds each campaign's summary and the command that shows it; it has no dates and no durations, so it
changes only with the results.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

RESULTS = Path(__file__).parent / "results.txt"
GRACE = 120  # seconds for what a campaign does around its own limit
CAMPAIGNS = {  # by module: its options, and its share of the time
    "class_files": (["--files", "1000000"], 0.15),
    "checkpoints": ([], 0.2),
    "kills": (["--kills", "1000"], 0.35),
    "options": (["--cases", "2000"], 0.15),
    "claims": (["--rounds", "50", "--trainings", "5"], 0.05),
    "intervals": ([], 0.1),
}


def run(module: str, options: list[str], seconds: float) -> tuple[str, bool]:
    """Run a campaign; return its command with what it printed, and whether it succeeded."""
    arguments = ["-m", f"tests.campaigns.{module}", *options, "--seconds", f"{seconds:.0f}"]
    pipe = {"stdout": subprocess.PIPE, "text": True, "timeout": seconds + GRACE}
    try:
        done = subprocess.run([sys.executable, *arguments], check=False, **pipe)
        output, success = done.stdout.strip(), done.returncode == 0
    except subprocess.TimeoutExpired:
        output, success = "did not end in time", False
    verdict = "" if success else "FAILED: "
    print(f"{verdict}{output}", flush=True)
    timeless = re.sub(r",? ?(in |\()\d+(\.\d+)? s\b\)?", "", output)
    return f"$ python {' '.join(arguments)}\n{verdict}{timeless}\n", success


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description="Run every campaign.")
    parser.add_argument("--seconds", type=float, default=3000, help="for all of them together")
    seconds = parser.parse_args().seconds
    results = [run(module, options, share * seconds) for module, (options, share) in CAMPAIGNS.items()]
    RESULTS.write_text("\n".join(text for text, _ in results))
    return 0 if all(success for _, success in results) else 1


if __name__ == "__main__":
    sys.exit(main())
