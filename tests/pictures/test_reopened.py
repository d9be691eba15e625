"""The images of a run, found again: in every kind of dataset, whatever part of it was evaluated, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ppbench.copies.api import corrupt_folder
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, ids_hash
from ppbench.errors import DataError
from ppbench.pictures.reopened import reopen
from ppbench.run import MeasuredRun
from tests.evaluation.models import make_settings, measured, tiny_subject
from tests.trees import class_names, write_class_folders, write_fashion_mnist, write_imagenet_c

pytestmark = pytest.mark.usefixtures("_small_forwards")

SIZE = 32
CELLS = (("fog", "pixelate"), (1, 4))


def evaluated(name: str, data: Path, **options: object) -> MeasuredRun:
    """A run of a tiny network, evaluated on a dataset as ``ppbench eval`` does."""
    channels, side = (1, 28) if name == "fashion-mnist" else (3, SIZE)
    model = tiny_subject(size=side, channels=channels, classes=10)
    source = open_source(name, data, Geometry.of(model.card), **options)  # type: ignore[arg-type]
    request = {"dataset": name, "data": data, **{key: options[key] for key in ("seed", "limit") if key in options}}
    (run,), stopped = measured([model], source, make_settings(*CELLS, **request))
    assert stopped is None
    return run


def folder_of(kind: str, root: Path) -> Path:
    if kind == "fashion-mnist":
        return write_fashion_mnist(root)
    return write_class_folders(root, classes=10, per_class=2, size=40)


@pytest.mark.parametrize("kind", ["fashion-mnist", "imagefolder"])
@pytest.mark.parametrize("options", [{}, {"limit": 7, "seed": 3}])
def test_all_images_and_a_subset_are_found_again(kind: str, options: dict[str, int], tmp_path: Path) -> None:
    data = folder_of(kind, tmp_path / "data")
    run = evaluated(kind, data, **options)
    for one in (run, replace(run, keys=None)):  # older files have no keys
        source, places = reopen(one, data)
        assert ids_hash([source.ids[place] for place in places]) == run.run.protocol.ids_sha256
        assert len(places) == run.run.protocol.n
        assert run.predictions is not None
        assert (source.labels[places] == run.predictions.labels).all()


def test_copies_are_opened_by_the_manifest_beside_them(tmp_path: Path) -> None:
    data = folder_of("imagefolder", tmp_path / "data")
    corrupt_folder(data, tmp_path / "c", corruptions=CELLS[0], severities=CELLS[1], seed=3, size=SIZE)
    model = tiny_subject(size=SIZE, channels=3, classes=10)
    source = open_source("imagefolder", tmp_path / "c", Geometry.of(model.card))
    source.choose(CELLS[0])
    (run,), _ = measured([model], source, make_settings(*CELLS, dataset="imagefolder", data=tmp_path / "c"))
    again, places = reopen(run, tmp_path / "c")
    assert (again.kind, again.recipe, again.made_seed, len(places)) == ("generated", "cifar-c", 3, 20)
    # Runs of earlier versions call them published.
    protocol = run.run.protocol.model_copy(
        update={"source": "published", "recipe": "unknown", "engine": "published", "seed": 0}
    )
    earlier = replace(run, run=run.run.model_copy(update={"protocol": protocol}))
    assert reopen(earlier, tmp_path / "c").source.kind == "published"


def test_an_evaluation_that_stopped_early_is_found_by_its_keys(tmp_path: Path) -> None:
    data = folder_of("imagefolder", tmp_path / "data")
    whole = evaluated("imagefolder", data)
    source = open_source("imagefolder", data, Geometry(SIZE, None))
    seen = np.array([9, 2, 13])
    part = whole.of_images(seen, ids_hash([source.ids[place] for place in seen]))
    assert reopen(part, data).places.tolist() == [9, 2, 13]
    with pytest.raises(DataError, match=r"not the images that were evaluated: ids_sha256 \w{12}, in the run \w{12}"):
        reopen(replace(part, keys=None), data)


def test_published_cells_are_read_from_the_folder(tmp_path: Path) -> None:
    data = write_imagenet_c(tmp_path / "c", *CELLS, size=SIZE, names=class_names(10), per_class=1)
    run = evaluated("imagenet-c", data)
    source, places = reopen(run, data)
    assert source.kind == "published"
    shown = source.load("pixelate", 4, places[:1]).pixels[0]
    wanted = np.asarray(Image.open(data / "pixelate" / "4" / source.ids[places[0]]))
    assert (shown == wanted).all()


def test_other_images_in_the_folder_are_refused(tmp_path: Path) -> None:
    data = folder_of("imagefolder", tmp_path / "data")
    run = evaluated("imagefolder", data)
    victim = next(iter(sorted(data.rglob("*.png"))))
    Image.new("RGB", (40, 40)).save(victim)
    with pytest.raises(DataError, match=f"{data} are not the images that were evaluated: fingerprint") as caught:
        reopen(run, data)
    assert "`ppbench eval --data`" in caught.value.hint
    victim.unlink()
    with pytest.raises(DataError, match="1 of the 20 images of the run are missing"):
        reopen(run, data)


def test_what_was_made_otherwise_is_refused(tmp_path: Path) -> None:
    data = folder_of("imagefolder", tmp_path / "data")
    run = evaluated("imagefolder", data)
    for field, value, why in (
        ("engine", "unknown", "engine ppbench corruptions 1, in the run unknown"),
        ("preprocessing", "crop 3, mean 0", "cut otherwise: crop 32, in the run crop 3, mean 0"),
    ):
        protocol = run.run.protocol.model_copy(update={field: value})
        with pytest.raises(DataError, match=why):
            reopen(replace(run, run=run.run.model_copy(update={"protocol": protocol})), data)


def test_names_that_no_folder_has_are_refused(tmp_path: Path) -> None:
    data = folder_of("imagefolder", tmp_path / "data")
    run = evaluated("imagefolder", data)
    protocol = run.run.protocol.model_copy(update={"dataset": "my own"})
    with pytest.raises(DataError, match="the images of my own cannot be opened again"):
        reopen(replace(run, run=run.run.model_copy(update={"protocol": protocol})), data)
    with pytest.raises(DataError, match="nowhere"):
        reopen(run, tmp_path / "nowhere")


def test_labels_from_a_file_are_given_again(tmp_path: Path) -> None:
    """The run does not have their path, and never would a report read a file that a run names."""
    data, table = folder_of("imagefolder", tmp_path / "data"), tmp_path / "labels.csv"
    names = [path.relative_to(data).as_posix() for path in sorted(data.rglob("*.png"))][:12]
    table.write_text("".join(f"{name},{place % 10}\n" for place, name in enumerate(names)))
    run = evaluated("imagefolder", data, labels=str(table))
    source, places = reopen(run, data, table)
    assert [source.ids[place] for place in places] == names
    with pytest.raises(DataError, match="are not the images that were evaluated") as caught:
        reopen(run, data)
    assert "`--labels FILE.csv` if the labels were in a file" in caught.value.hint
    table.write_text(table.read_text().replace(",9", ",1"))
    with pytest.raises(DataError, match="fingerprint"):
        reopen(run, data, table)
