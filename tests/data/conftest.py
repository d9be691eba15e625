from __future__ import annotations

from pathlib import Path

import pytest

from tests.data.sets import TREE
from tests.trees import write_imagenet_c


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A corrupted set in folders."""
    return write_imagenet_c(tmp_path / "c", TREE, (1, 3))
