"""Which files of a repository of the Hugging Face hub make a model, and its copy in the hub's cache."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from ppbench.errors import DataError
from ppbench.extras import import_extra
from ppbench.hub import Repository
from ppbench.models.download import OnDownload

_SETTINGS = ("*.json", "*.txt", "*.model")
_SAFE = ("model.safetensors", "model-*-of-*.safetensors", "open_clip*.safetensors")
_PICKLED = ("pytorch_model.bin", "pytorch_model-*-of-*.bin", "open_clip_pytorch_model.bin")
_IN_FOLDERS = ("*/*",)
"""Other formats of the same weights, such as ONNX."""


class Snapshot(NamedTuple):
    """The files of a repository at one commit."""

    folder: Path
    source: str | None
    """Address of the repository at this commit; None: a folder of the user's."""


def fetch_repository(
    reference: str, *, door: str, code: bool = False, on_download: OnDownload | None = None
) -> Snapshot:
    """Fetch the settings and weights of ``ORG/NAME`` or ``ORG/NAME@REVISION`` into huggingface_hub's cache.

    Of weights in both formats only the safetensors are fetched. Without a network, what is in the cache is used.

    Args:
        reference: Name of the repository, perhaps with a branch, tag or commit.
        door: Prefix of ``--model`` that asks for it, for messages.
        code: Whether the repository's Python files are fetched too.
        on_download: Called with the bytes received, and the bytes expected.

    Raises:
        DataError: If there is no such repository, or it is neither reachable nor in the cache.
        UsageError: If huggingface_hub is not installed.
    """
    import_extra("huggingface_hub", "hf", f"--model {door}:{reference}")
    name, _, revision = reference.partition("@")
    if name.count("/") != 1:
        raise _no_name(reference, door)
    repository = Repository(name, revision or None)
    kept = [*_SETTINGS, *_SAFE, *(("*.py",) if code else ())]
    try:
        sizes = repository.files()
        if sizes is not None and not any(Path(file).match(one) for file in sizes if "/" not in file for one in _SAFE):
            kept += _PICKLED
        folder = repository.copy(sizes, kept, _IN_FOLDERS, on_download)
    except Exception as error:  # huggingface_hub and its HTTP client each raise their own classes
        by_hand = _by_hand(name, revision, door)
        raise repository.not_fetched(error, by_hand, _no_name(reference, door)) from error
    return Snapshot(folder, f"{repository.address}/tree/{folder.name}")


def _by_hand(name: str, revision: str, door: str) -> str:
    folder = name.rpartition("/")[2]
    at = f" --revision {revision}" if revision else ""
    return (
        f"On a machine with internet access, run `hf download {name}{at} --local-dir {folder}`; copy the folder here, "
        f"then give `--model {door}:{folder}`."
    )


def _no_name(reference: str, door: str) -> DataError:
    example = "microsoft/resnet-50" if door == "hf" else "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
    return DataError(
        f"{door}:{reference} is neither a folder here nor the name of a repository on huggingface.co",
        f"Give the path of a folder, or ORG/NAME: `--model {door}:{example}`.",
    )
