"""An error names an option as the command line does, and few of many items."""

import numpy as np
import pytest

from project.__main__ import main
from project.data import NpyDataModule
from project.errors import InputError, join_words
from tests.conftest import Write


def test_a_command_and_a_call_meet_the_same_error(write_classes: Write, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_classes(np.arange(20.0).reshape(10, 2), np.arange(24.0).reshape(12, 2) + 100)
    with pytest.raises(InputError, match=r"use --data\.balance downsample to drop 2$") as caught:
        NpyDataModule(root).setup("fit")
    assert main(["fit", "--data.root", str(root)]) == 2
    assert capsys.readouterr().err == f"error: {caught.value}\n"


def test_of_many_items_the_first_ones_are_named() -> None:
    found = [join_words(range(count), most=3) for count in (1, 3, 20)]
    assert found == ["0", "0, 1 and 2", "0, 1, 2 and 17 more"]
