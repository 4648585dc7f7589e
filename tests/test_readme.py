"""The README's links; tests/test_package.py runs its commands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LINKS = re.findall(r"\]\(([^)#:]+)\)", (ROOT / "README.md").read_text())


@pytest.mark.parametrize("target", LINKS)
def test_every_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
