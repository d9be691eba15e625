"""The README for the package index, where relative links lead nowhere. Run by hatchling whenever it builds."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

try:
    from hatchling.metadata.plugin.interface import MetadataHookInterface
except ImportError:  # the tests read `absolute_links` where nothing is built
    MetadataHookInterface = object

_LINK = re.compile(r"(?P<picture>!\[[^\]]*)?\]\((?!\w+:|#)(?P<target>[^)\s]+)\)")


def absolute_links(text: str, repository: str) -> str:
    """Make the relative links and pictures of a Markdown page of the repository absolute.

    Args:
        text: The page.
        repository: Address of the repository on GitHub, without a slash at the end.
    """
    pictures = repository.replace("https://github.com/", "https://raw.githubusercontent.com/") + "/main"

    def absolute(link: re.Match[str]) -> str:
        picture, target = link["picture"], link["target"]
        return f"{picture}]({pictures}/{target})" if picture else f"]({repository}/blob/main/{target})"

    return _LINK.sub(absolute, text)


class ReadmeHook(MetadataHookInterface):  # type: ignore[misc, valid-type]
    """Gives the distribution its description."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Add the README to the metadata, with links to the repository that ``[project.urls]`` names."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = absolute_links(text, metadata["urls"]["Repository"])
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
