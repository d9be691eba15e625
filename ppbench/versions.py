"""Versions, of ppbench and of what it runs on; the modules that need them do not import the public names."""

from __future__ import annotations

__version__ = "0.1.0"


def version_of(name: str) -> str:
    """The version of ``python``, of ``ppbench`` or of an installed distribution; "unknown" if there is none."""
    # Imported here, since every command imports this module for `__version__` alone.
    import platform
    from importlib.metadata import PackageNotFoundError, version

    if name in ("python", "ppbench"):  # ppbench's distribution has another name
        return platform.python_version() if name == "python" else __version__
    try:
        return version(name)
    except PackageNotFoundError:  # OpenCV goes by several names
        return "unknown"


def versions_of(*names: str) -> dict[str, str]:
    """`version_of` by name."""
    return {name: version_of(name) for name in names}
