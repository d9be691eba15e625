"""OpenCV, imported when it is needed, since that takes a while."""

from __future__ import annotations

from typing import Any

from ppbench.errors import DataError, in_one_line


def opencv() -> Any:
    """Return the module ``cv2``.

    Raises:
        DataError: If it cannot be imported. The usual package needs libraries of a desktop, which containers lack.
    """
    try:
        import cv2
    except ImportError as error:
        raise DataError(
            f"OpenCV cannot be imported ({in_one_line(error)})",
            "Without a desktop, `pip uninstall opencv-python` and `pip install opencv-python-headless`; or install its "
            "libraries (on Debian: `apt-get install libgl1 libglib2.0-0 libxcb1`).",
        ) from error
    return cv2
