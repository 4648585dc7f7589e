"""The options that the measured scripts have in common, spelled as the project's, and where they leave the seconds."""

import argparse
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "project" / "data" / "sample"
SECONDS = Path("seconds.txt")


def parse(description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data.root", dest="root", type=Path, default=SAMPLE)
    parser.add_argument("--data.batch_size", dest="batch_size", type=int)
    parser.add_argument("--trainer.max_steps", dest="steps", type=int, default=1000)
    parser.add_argument("--trainer.val_check_interval", dest="interval", type=int, default=20)
    parser.add_argument("--first", type=int, help="the iteration after which the clock starts; no figures are drawn")
    parser.add_argument("--library", help="which one of peers.py")
    return parser.parse_args()
