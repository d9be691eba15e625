"""Versions of ppbench and of what it runs on. Modules import them from here, not from the public names."""

from __future__ import annotations

from functools import cache

__version__ = "0.1.0"


@cache
def version_of(name: str) -> str:
    """Return the version of ``python``, ``ppbench`` or an installed distribution; "unknown" if there is none."""
    # Imported here, since every command imports this module, and only for `__version__`.
    import platform
    from importlib.metadata import PackageNotFoundError, version

    if name in ("python", "ppbench"):  # ppbench's distribution has another name
        return platform.python_version() if name == "python" else __version__
    try:
        return version(name)
    except PackageNotFoundError:  # OpenCV goes by several names
        return "unknown"


def versions_of(*names: str) -> dict[str, str]:
    """Return the versions by name, as `version_of` finds them."""
    return {name: version_of(name) for name in names}
