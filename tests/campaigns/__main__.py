"""Run every campaign, each in a process of its own, and keep what they found in results.txt.

python -m tests.campaigns --seconds 3000
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

CAMPAIGNS = {  # by module and options: the share of the time
    "class_files --files 1000000": 0.15,
    "checkpoints": 0.2,
    "kills --kills 1000": 0.35,
    "options --cases 2000": 0.15,
    "claims --rounds 50": 0.05,
    "coverage": 0.1,
}


def run(campaign: str, seconds: float) -> str:
    """Run a campaign; return its command with what it printed, but for times, so that only other results differ."""
    arguments = f"-m tests.campaigns.{campaign} --seconds {seconds:.0f}"
    command, limit = [sys.executable, *arguments.split()], seconds + 120  # for what it does around its own limit
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True, timeout=limit)
    found = f"{'FAILED: ' if done.returncode else ''}{done.stdout.strip()}"
    print(found, flush=True)
    timeless = re.sub(r",? ?(in |\()\d+(\.\d+)? s\b\)?", "", found)
    return f"$ python {arguments}\n{timeless}\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns", description="Run every campaign.")
    parser.add_argument("--seconds", type=float, default=3000, help="for all of them together")
    seconds = parser.parse_args().seconds
    results = "\n".join(run(campaign, share * seconds) for campaign, share in CAMPAIGNS.items())
    Path(__file__).with_name("results.txt").write_text(results)
    sys.exit("FAILED" in results)
