"""The images of class folders in the other forms that users have: Parquet, WebDataset, arrays, Datasets."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from tests.trees import photographs


def write_mixed_folders(root: Path, classes: int = 2, per_class: int = 4, size: int = 40) -> Path:
    """``root/<class>/<n>.png`` with photographs, of which every third is wider; returns ``root``."""
    for number, image in enumerate(photographs(size, classes * per_class)):
        path = root / f"n{number % classes:08d}" / f"img{number:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).resize((size + 8 * (number % 3 == 0), size)).save(path)
    return root


def files_in(root: Path) -> list[Path]:
    """The images of class folders, in ppbench's order."""
    return sorted(root.glob("*/*.png"))


def labels_in(root: Path) -> list[int]:
    names = sorted(path.name for path in root.iterdir())
    return [names.index(path.parent.name) for path in files_in(root)]


def write_table(
    path: Path, images: Sequence[Any], labels: Sequence[Any] | None, *, names: Sequence[str] | None = None,
    groups: int = 3, columns: tuple[str, str] = ("image", "label"), extra: Mapping[str, Sequence[Any]] | None = None,
    described: bool = True,
) -> Path:  # fmt: skip
    """A Parquet file as Hugging Face's library writes it; returns ``path``.

    Args:
        path: The file to write.
        images: Structs of ``bytes`` and ``path``, or bytes.
        labels: Numbers or texts; None: no column.
        names: Names of the classes, for the metadata.
        groups: Rows of a row group.
        columns: Names of the two columns.
        extra: Further columns.
        described: Whether it has Hugging Face's metadata.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {columns[0]: list(images)}
    if labels is not None:
        content[columns[1]] = list(labels)
    features: dict[str, Any] = {columns[0]: {"_type": "Image"}}
    if names is not None:
        features[columns[1]] = {"names": list(names), "_type": "ClassLabel"}
    table = pa.table({**content, **{name: list(values) for name, values in (extra or {}).items()}})
    metadata = {"huggingface": json.dumps({"info": {"features": features}})} if described else None
    pq.write_table(table.replace_schema_metadata(metadata), path, row_group_size=groups)
    return path


def as_structs(paths: Sequence[Path]) -> list[dict[str, Any]]:
    return [{"bytes": path.read_bytes(), "path": path.name} for path in paths]


def write_parquet(root: Path, to: Path, shards: int = 2) -> Path:
    """Class folders as shards ``to/data/test-00000-of-00002.parquet``; returns ``to``."""
    files, labels = files_in(root), labels_in(root)
    names = sorted(path.name for path in root.iterdir())
    for number, rows in enumerate(np.array_split(np.arange(len(files)), shards)):
        path = to / "data" / f"test-{number:05d}-of-{shards:05d}.parquet"
        write_table(path, as_structs([files[row] for row in rows]), [labels[row] for row in rows], names=names)
    return to


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    """A tar with these members in this order; returns ``path``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def write_webdataset(root: Path, to: Path, shards: int = 2) -> Path:
    """Class folders as shards ``to/shard-0000.tar`` of ``<class>/<n>.png`` and ``.cls``; returns ``to``."""
    files, labels = files_in(root), labels_in(root)
    for number, rows in enumerate(np.array_split(np.arange(len(files)), shards)):
        members = []
        for row in rows:
            name = files[row].relative_to(root).as_posix()
            members += [(name, files[row].read_bytes()), (f"{name[:-4]}.cls", f"{labels[row]}\n".encode())]
        write_tar(to / f"shard-{number:04d}.tar", members)
    return to


def as_array(root: Path) -> NDArray[np.uint8]:
    """The images of class folders of one size, ``(N, H, W, 3)``."""
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in files_in(root)])


def ids_in(root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in files_in(root)]
