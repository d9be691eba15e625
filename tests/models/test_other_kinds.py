"""Files that hold a network but no state dict: what they are is said, not that they are damaged."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
import torch
from torch import nn

from ppbench.errors import DataError, UsageError
from ppbench.models.card import Card
from ppbench.models.card_options import CardOptions, parse_card_options
from ppbench.models.load import resolve_model

ONNX = b"\x08\x08\x12\x07pytorch\x1a\x032.1:\x10\x12\x0emain_graph_abcd"
"""The head of a ModelProto: version 8, written by pytorch."""


def make(folder: Path) -> dict[str, Path]:
    paths = {name: folder / name for name in ("net.bin", "ts.pt", "ep.pt2", "keras.h5", "lite.tflite")}
    paths["net.bin"].write_bytes(ONNX)
    torch.jit.script(nn.Linear(3, 2)).save(paths["ts.pt"])
    with zipfile.ZipFile(paths["ep.pt2"], "w") as archive:
        archive.writestr("ep/archive_format", "pt2")
    paths["keras.h5"].write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(64))
    paths["lite.tflite"].write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    return paths


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_each_is_told_what_it_is(tmp_path: Path) -> None:
    words = {
        "net.bin": "an ONNX network",
        "ts.pt": "a TorchScript network",
        "ep.pt2": "a network of torch.export",
        "keras.h5": "an HDF5 file",
        "lite.tflite": "a network of TensorFlow Lite",
    }
    for name, path in make(tmp_path).items():
        with pytest.raises(DataError) as caught:
            resolve_model(str(path))
        assert caught.value.message.startswith(f"{path} is {words[name]}")
        assert "damaged" not in str(caught.value)
        assert (
            f"`ppbench eval --model onnx:{path}`" if name == "net.bin" else f"--weights-file {path}"
        ) in caught.value.hint


def test_what_is_damaged_stays_so(tmp_path: Path) -> None:
    for name, content in (("net.pth", b"\x80\x02garbage" * 9), ("cut.pt", b"PK\x03\x04" + bytes(90))):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=r"is not a readable checkpoint|holds no tensors"):
            resolve_model(str(tmp_path / name))


@pytest.mark.parametrize("spec", ["hf", "./hf", "{}/hf"])
def test_a_folder_of_transformers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, spec: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hf").mkdir()
    Path("hf/config.json").write_text(json.dumps({"model_type": "resnet"}))
    with pytest.raises(DataError, match="hf is a folder of transformers") as caught:
        resolve_model(spec.format(tmp_path))
    assert f"--model hf:{Path(spec.format(tmp_path))}`" in caught.value.hint


def test_a_folder_of_open_clip(tmp_path: Path) -> None:
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(DataError, match="is a folder of open_clip") as caught:
        resolve_model(str(tmp_path))
    assert f"--model clip:{tmp_path}`" in caught.value.hint


def test_any_other_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match="is a folder, but a model is a file"):
        resolve_model(str(tmp_path))


def test_a_state_dict_of_an_unknown_network_is_pointed_to_a_factory(tmp_path: Path) -> None:
    torch.save({"_conv_stem.weight": torch.zeros(3), "_blocks.0._bn0.weight": torch.zeros(3)}, tmp_path / "b0.pth")
    with pytest.raises(DataError) as caught:
        resolve_model(str(tmp_path / "b0.pth"))
    assert "pkg.mod:factory" in caught.value.hint


CARD = Card(architecture="net", num_classes=2, input_size=32, mean=(0.5,) * 3, std=(0.5,) * 3)


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [("mean", "0.498", "`--mean 0.498,0.498,0.498`"), ("std", "0.25", "`--std 0.25,0.25,0.25`")],
)
def test_one_value_for_three_channels(option: str, value: str, hint: str) -> None:
    with pytest.raises(UsageError, match=f"--{option} has 1 value, but net takes images with 3 channels") as caught:
        parse_card_options(**{option: value}).override(CARD, "net")
    assert hint in caught.value.hint
    assert "--input-size" not in caught.value.hint


def test_three_values_for_a_grey_network() -> None:
    grey = CARD.model_copy(update={"in_channels": 1, "mean": (0.5,), "std": (0.5,)})
    with pytest.raises(UsageError, match="--mean has 3 values, but net takes images with 1 channel") as caught:
        CardOptions(mean=(0.1, 0.2, 0.3)).override(grey, "net")
    assert "--input-size" not in caught.value.hint


def test_only_what_is_missing_is_asked_for() -> None:
    for said, missing in (({"mean": "0.498"}, "`--std 0.229 --input-size 224`"), ({"input_size": 32}, "`--mean 0.485")):
        with pytest.raises(UsageError) as caught:
            parse_card_options(**said).make("net", architecture="net", num_classes=2)  # type: ignore[arg-type]
        assert missing in caught.value.hint
        assert all(f"--{name.replace('_', '-')} " not in caught.value.hint for name in said)
