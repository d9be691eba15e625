"""JPEG files decoded on the device: here by libjpeg through torchvision, in the place of nvJPEG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppbench.compare.comparability import require_comparable
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import NotComparableError, UsageError
from ppbench.evaluation.feed import Feed, plan_blocks
from ppbench.evaluation.identity import protocol
from ppbench.evaluation.nvjpeg import GpuDecoder, decoder_for
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from tests.evaluation.models import make_settings, tiny_checkpoint
from tests.trees import photographs

CPU, GPU = torch.device("cpu"), torch.device("cuda")
CUT = Geometry(32, 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six JPEG files in which details are coarse, one of them grey, one a PNG, two damaged."""
    root = tmp_path_factory.mktemp("jpegs")
    for number, pixels in enumerate(photographs(90, 6)):
        image = Image.fromarray(pixels).resize((90, 70) if number % 2 else (70, 90))
        path = root / f"n{number % 2}" / f"{number}.jpg"
        path.parent.mkdir(exist_ok=True)
        image = image.convert("L") if number == 4 else image
        image.save(path, "PNG" if number == 5 else "JPEG", quality=95, subsampling=0)
    whole = (root / "n0" / "2.jpg").read_bytes()
    (root / "n0" / "7.jpg").write_bytes(whole[: len(whole) // 2])
    (root / "n1" / "8.jpg").write_bytes(b"no image")
    return root


def opened(folder: Path, **more: Any) -> Source:
    return open_source("imagefolder", folder, CUT, **more)


def seen(source: Source, decoder: GpuDecoder | None, workers: int = 0) -> tuple[np.ndarray, list[int]]:
    blocks = plan_blocks(np.ones((1, len(source.ids)), np.bool_), 3, image_major=True)
    batches = list(Feed(source, [("clean", 0)], workers, CPU, decoder=decoder).batches(blocks))
    pixels = torch.cat([batch.images for batch in batches]).permute(0, 2, 3, 1).numpy()
    return pixels, [one.place for batch in batches for one in batch.broken]


def test_pixels_are_nearly_pillows_and_those_of_other_files_are(folder: Path) -> None:
    source = opened(folder)
    expected, broken = seen(source, None)
    got, broken_here = seen(source, GpuDecoder(CUT, CPU))
    assert broken_here == broken == [source.ids.index("n0/7.jpg"), source.ids.index("n1/8.jpg")]
    assert not got[broken].any()
    by_pillow = [source.ids.index(name) for name in ("n0/4.jpg", "n1/5.jpg")]
    assert np.array_equal(got[by_pillow], expected[by_pillow])
    difference = np.abs(got.astype(int) - expected)
    assert 0 < difference.max() <= 3
    assert difference.mean() < 0.5


def test_what_cannot_be_read_says_why(folder: Path) -> None:
    source = opened(folder)
    blocks = plan_blocks(np.ones((1, len(source.ids)), np.bool_), 9, image_major=True)
    for decoder in (None, GpuDecoder(CUT, CPU)):
        (batch,) = Feed(source, [("clean", 0)], 0, CPU, decoder=decoder).batches(blocks)
        cut_off, no_image = batch.broken
        assert "7.jpg: damaged" in cut_off.reason
        assert "8.jpg: it is not an image" in no_image.reason


def test_a_vanished_file_is_noted(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "a" / "1.jpg"
    path.parent.mkdir()
    path.write_bytes((folder / "n0" / "0.jpg").read_bytes())
    source = opened(tmp_path)
    path.unlink()
    (one,) = source.encoded(np.array([0])).broken
    assert one.reason == f"cannot read the image {path}: No such file or directory"


@pytest.mark.usefixtures("_workers_of_one_server")
def test_workers_read_and_nothing_changes(folder: Path) -> None:
    alone, _ = seen(opened(folder), GpuDecoder(CUT, CPU))
    shared, _ = seen(opened(folder), GpuDecoder(CUT, CPU), workers=1)
    assert np.array_equal(alone, shared)


@pytest.mark.parametrize("side", [41, 40, 33])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_cuts_are_pillows(side: int, interpolation: Any, tmp_path: Path) -> None:
    """On smooth images, whose resizing differs by rounding alone: sides that are rounded, and odd margins."""
    ramp = np.linspace(0, 200, 57)[None, :, None] + np.linspace(0, 50, 71)[:, None, None]
    Image.fromarray(np.repeat(ramp, 3, axis=2).astype(np.uint8)).save(tmp_path / "a.jpg", quality=100, subsampling=0)
    cut = Geometry(32, side, interpolation)
    (tmp_path / "c").mkdir()
    (tmp_path / "a.jpg").rename(tmp_path / "c" / "a.jpg")
    source = open_source("imagefolder", tmp_path, cut)
    expected, got = seen(source, None)[0], seen(source, GpuDecoder(cut, CPU))[0]
    assert np.abs(got.astype(int) - expected).max() <= 2


@pytest.mark.parametrize(
    ("name", "device", "geometry", "more", "message"),
    [
        ("cuda", CPU, CUT, {}, "--decode cuda is for a GPU, but the evaluation computes on cpu"),
        ("nvjpeg", GPU, CUT, {}, "unknown value of --decode"),
        ("cuda", GPU, CUT, {"exif": True}, "--decode cuda is for JPEG files in class folders"),
        ("cuda", GPU, CUT, {"backend": "imagecorruptions"}, "--decode cuda is for JPEG files in class folders"),
        ("cuda", GPU, Geometry(32, 40, crop_mode="squash"), {}, "--decode cuda does not cut images as these need it"),
        ("cuda", GPU, Geometry(32, 24), {}, "--decode cuda does not cut images as these need it"),
    ],
)
def test_where_it_is_refused(
    name: str, device: torch.device, geometry: Geometry, more: dict[str, Any], message: str, folder: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        decoder_for(name, open_source("imagefolder", folder, geometry, **more), device)


def test_it_is_for_files() -> None:
    with pytest.raises(UsageError, match="--decode cuda is for JPEG files in class folders"):
        decoder_for("cuda", open_source(EMBEDDED, None, Geometry(28, None), limit=10), GPU)


def test_where_it_is_taken(folder: Path) -> None:
    assert isinstance(decoder_for("cuda", opened(folder), GPU), GpuDecoder)
    assert decoder_for("pillow", opened(folder), CPU) is None


def test_it_is_refused_before_anything_is_computed(folder: Path, tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    request = EvalRequest.of(models=str(net), data=folder, decode="cuda", device="cpu")
    with pytest.raises(UsageError, match="--decode cuda is for a GPU"):
        prepare(request)


def test_runs_of_two_decoders_are_not_compared(folder: Path) -> None:
    def of(decode: str) -> Any:
        return protocol(opened(folder), make_settings(("fog",), (1,), decode=decode), "as is", None)

    plain, decoded = of("pillow"), of("cuda")
    assert (plain.decoder, decoded.decoder) == (None, "nvjpeg")
    assert "decoder" not in plain.model_dump()
    with pytest.raises(NotComparableError, match="B was not measured like A: decoder nvjpeg, A none"):
        require_comparable(plain, decoded, ("A", "B"))
    assert require_comparable(plain, decoded, ("A", "B"), ["decoder"]) == ["decoder nvjpeg, A none"]
