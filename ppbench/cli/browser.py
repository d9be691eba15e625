"""Opening a page in the browser, where there is one."""

from __future__ import annotations

import os
import sys
import webbrowser
from pathlib import Path

from ppbench.cli import output


def open_in_browser(path: Path) -> None:
    """Open a file in the browser and say where it is. Without a display, or over ssh, only say where it is."""
    where = f"the report is in {path}"
    if not _has_display():
        output.say(f"{where} (there is no display here: copy it to where a browser is)")
    elif webbrowser.open(path.resolve().as_uri()):
        output.say(where)
    else:
        output.say(f"{where} (no browser was found to open it)")


def _has_display() -> bool:
    """Whether a browser would open in front of the user. A command in BROWSER is the user's own choice."""
    if os.environ.get("BROWSER"):
        return True
    if any(os.environ.get(name) for name in ("SSH_CONNECTION", "SSH_TTY")):
        return False
    # Elsewhere there is always a display. On Linux, a browser of the terminal would take over the terminal.
    return not sys.platform.startswith("linux") or any(map(os.environ.get, ("DISPLAY", "WAYLAND_DISPLAY")))
