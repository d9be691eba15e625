"""What tests of copies share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.copies.trees import write_photos


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos")
