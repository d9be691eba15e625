"""Models of the Hugging Face hub: which files are fetched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ppbench.errors import DataError
from ppbench.models.repository import fetch_repository
from tests.hub import COMMIT, Hub, serving

FILES = {
    "config.json": b"{}",
    "model.safetensors": b"w" * 5000,
    "pytorch_model.bin": b"p" * 5000,
    "net.py": b"print('run')",
    "onnx/config.json": b"{}",
    "training.log": b"long",
}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[type[Hub]]:
    with serving(monkeypatch, tmp_path_factory.mktemp("hub"), revisions={"main": dict(FILES)}) as hub:
        yield hub


def test_settings_and_one_kind_of_weights(hub: type[Hub]) -> None:
    said: list[tuple[int, int]] = []
    found = fetch_repository("org/net", door="hf", on_download=lambda done, total: said.append((done, total)))
    assert sorted(path.name for path in found.folder.iterdir()) == ["config.json", "model.safetensors"]
    assert found.source == f"https://huggingface.co/org/net/tree/{COMMIT}"
    assert {total for _, total in said} == {5002}
    assert max(done for done, _ in said) == 5002
    with_code = fetch_repository("org/net", door="hf", code=True).folder
    assert (with_code / "net.py").is_file()


def test_weights_of_the_older_format_if_there_are_no_others(hub: type[Hub]) -> None:
    del hub.revisions["main"]["model.safetensors"]
    folder = fetch_repository("org/net@main", door="hf").folder
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "pytorch_model.bin"]


def test_what_is_in_the_cache_is_used_without_a_network(hub: type[Hub], monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    first = fetch_repository("org/net", door="hf")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert fetch_repository("org/net", door="hf") == first
    with pytest.raises(DataError, match=r"cannot fetch org/other .* it is not reachable"):
        fetch_repository("org/other", door="hf")


@pytest.mark.parametrize(
    ("reference", "message", "hint"),
    [
        ("org/none", "there is no repository org/none on huggingface.co", "hf auth login"),
        ("org/net@v9", "org/net has no revision 'v9'", "branch, tag or commit"),
        ("net", "hf:net is neither a folder here nor the name of a repository", "hf:microsoft/resnet-50"),
        ("a b/c", "hf:a b/c is neither a folder here", "ORG/NAME"),
    ],
)
def test_names_that_there_are_not(hub: type[Hub], reference: str, message: str, hint: str) -> None:
    with pytest.raises(DataError, match=message.replace(".", r"\.")) as caught:
        fetch_repository(reference, door="hf")
    assert hint in caught.value.hint
