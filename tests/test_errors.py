"""An error names an option as its user knows it: by the command line's name, or by the argument's."""

from pathlib import Path

import numpy as np
import pytest

from project.__main__ import main
from project.data import NpyDataModule
from project.errors import InputError, join_words
from tests.conftest import Write


def test_a_command_and_a_call_meet_the_same_error_in_their_own_words(
    write_classes: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_classes(np.arange(20.0).reshape(10, 2), np.arange(24.0).reshape(12, 2) + 100)
    assert main(["fit", "--data.root", str(root)]) == 2
    assert "use --data.balance downsample to drop 2\n" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"use balance='downsample' to drop 2$"):
        NpyDataModule(root).setup("fit")


def test_of_many_items_the_first_ones_are_named() -> None:
    assert join_words([1]) == "1"
    assert join_words([1, 2, 3]) == "1, 2 and 3"
    assert join_words(range(20), most=3) == "0, 1, 2 and 17 more"
