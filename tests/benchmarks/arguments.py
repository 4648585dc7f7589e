"""The options that the measured loops have in common."""

import argparse
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "project" / "data" / "sample"


def parse(description: str | None, *switches: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--root", type=Path, default=SAMPLE)
    parser.add_argument("--warmup", type=int, default=0, help="iterations before the clock starts")
    parser.add_argument("--iterations", type=int, default=1000)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--validate-every", type=int, default=20, help="0 is never")
    parser.add_argument("--networks", type=int, default=1, help="trained at once, where that can be")
    parser.add_argument("--limit", type=int, default=0, help="bytes of memory that training may take; any unless given")
    for switch in switches:
        parser.add_argument(switch, action="store_true")
    return parser.parse_args()
