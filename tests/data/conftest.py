"""What the properties of data share: a place for class files, and time to read and write them."""

from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("data", deadline=None, max_examples=50)
settings.load_profile("data")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files") / "class_0.npy"
