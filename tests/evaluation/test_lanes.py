"""Making images beside the network: two streams, two buffers, on a stand-in that knows the order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.evaluation.clean_store import CleanStore
from ppbench.evaluation.feed import Feed, ImageBlock, OneLane, lanes_of, plan_blocks
from ppbench.evaluation.gpu import gpu_of
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.subject import ClassHead, Subject
from tests.evaluation.gpu import HostWaits, RaceError, StandInEvent, StandInGpu, StandInStream, on_stand_in
from tests.evaluation.models import make_settings, measured, tiny_card, tiny_subject
from tests.trees import write_published

pytestmark = pytest.mark.usefixtures("_small_forwards")

CPU = torch.device("cpu")
CELLS = [("clean", 0), ("gaussian_noise", 3), ("brightness", 1)]


@pytest.fixture(scope="module")
def embedded() -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=13)


def feed_of(source: Source, cells: Sequence[tuple[str, int]], store: CleanStore | None = None) -> Feed:
    feed = Feed(source, cells, 0, CPU)
    feed.store = store
    return feed


def seen(
    source: Source, cells: Sequence[tuple[str, int]], size: int = 4, *, store: CleanStore | None = None,
    feed: Feed | None = None,
) -> list[Tensor]:  # fmt: skip
    """What a network sees, read in the stream that it works in."""
    missing = np.ones((len(cells), len(source.ids)), np.bool_)
    blocks = plan_blocks(missing, size, image_major=source.image_major)
    return [batch.images.clone() for batch in (feed or feed_of(source, cells, store)).batches(blocks)]


@pytest.mark.parametrize("kept", [False, True])
def test_the_same_images_come_and_no_buffer_is_overwritten_early(
    embedded: Source, kept: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = seen(embedded, CELLS)
    with on_stand_in(monkeypatch) as gpu:
        got = seen(embedded, CELLS, store=CleanStore(embedded, 13, CPU) if kept else None)
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))
    streams = {name for uses in gpu.used.values() for name, _, _ in uses}
    assert streams == {"first", "stream 1", "host"}


def test_published_images_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source("imagenet-c", write_published(tmp_path, ("fog", "snow"), (1,)), Geometry(32, None))
    cells = [("fog", 1), ("snow", 1)]
    expected = seen(source, cells, 2)
    with on_stand_in(monkeypatch):
        got = seen(source, cells, 2)
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


@pytest.mark.parametrize(
    ("owner", "name", "message"),
    [
        (StandInStream, "wait_event", "uses"),  # nobody waits for another stream
        (StandInEvent, "record", "uses"),  # the place that is waited for is always the beginning
    ],
)
def test_a_missing_wait_is_found(
    embedded: Source, owner: type, name: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the check."""
    monkeypatch.setattr(owner, name, lambda *_: None)
    with on_stand_in(monkeypatch), pytest.raises(RaceError, match=message):
        seen(embedded, CELLS)


def test_the_network_of_one_batch_and_the_images_of_the_next_wait_for_nothing_in_common(
    embedded: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second batch is written without a wait for the network that reads the first; the third waits for it."""
    with on_stand_in(monkeypatch) as gpu:
        lanes = lanes_of(CPU)
        clocks = []
        for number in range(3):
            with lanes.making():
                batch = lanes.ready(torch.full((2, 8, 8, 3), number, dtype=torch.uint8))
                clocks.append(dict(gpu.current().clock))  # type: ignore[attr-defined]
            batch.clone()
            lanes.used()
    assert [clock.get("first", 0) for clock in clocks] == [0, 0, 1]


def test_a_cpu_has_neither_copies_nor_streams() -> None:
    lanes, images = lanes_of(CPU), torch.zeros(2, 8, 8, 3, dtype=torch.uint8)
    assert type(lanes) is OneLane
    assert gpu_of(CPU) is None
    with lanes.making():
        assert lanes.ready(images) is images
    pixels = images.numpy()
    assert lanes.send(pixels).data_ptr() == images.data_ptr()


@pytest.mark.parametrize("more", [{}, {"adapt": "batchnorm"}, {"labels": "predicted"}])
@pytest.mark.parametrize("free", [10**9, 10])
def test_the_run_is_the_same(free: int, more: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether clean images are kept or not, adapted or not, with labels or not."""
    labels = more.get("labels")

    def run() -> list[Any]:
        source = open_source(EMBEDDED, None, Geometry(28, None), limit=20, labels=labels)
        settings = make_settings(("gaussian_noise",), (1, 4), batch_size=8, **more)
        results, stopped_by = measured([tiny_subject(), tiny_subject("other", 1)], source, settings)
        assert stopped_by is None
        return [(one.run.cells, {cell: bits.tolist() for cell, bits in one.bits.items()}) for one in results]

    expected = run()
    with on_stand_in(monkeypatch, free) as gpu:
        watch_stores(gpu, monkeypatch)
        assert run() == expected
    assert gpu.used
    assert gpu.made == 1  # each stream has memory of its own, which the others cannot use


def watch_stores(gpu: StandInGpu, monkeypatch: pytest.MonkeyPatch) -> None:
    """Note all uses of the clean images that are kept."""
    put = CleanStore.put

    def watched(self: CleanStore, *args: Any) -> None:
        if self._images is None:
            self._images = torch.empty(self._shape, dtype=torch.uint8)
            gpu.watch(self._images)
        put(self, *args)

    monkeypatch.setattr(CleanStore, "put", watched)


@pytest.mark.parametrize("shared", [True, False])
def test_kept_images_are_read_in_the_stream_that_kept_them(
    embedded: Source, shared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second feed, with lanes of its own, would read them before they are there."""
    expected = seen(embedded, CELLS)
    with on_stand_in(monkeypatch) as gpu:
        watch_stores(gpu, monkeypatch)
        store = CleanStore(embedded, 13, CPU)
        feed = feed_of(embedded, CELLS, store)
        seen(embedded, CELLS, feed=feed)
        if not shared:
            with pytest.raises(RaceError, match="reads what stream 1 uses"):
                seen(embedded, CELLS, store=store)
            return
        got = seen(embedded, CELLS, feed=feed)
    assert all(torch.equal(one, other) for one, other in zip(got, expected, strict=True))


def test_a_consumer_that_stops_has_used_its_batch(embedded: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    blocks = [ImageBlock(np.arange(4), (0, 1, 2))]
    with on_stand_in(monkeypatch):
        feed = feed_of(embedded, CELLS)
        for _ in range(3):
            batches = feed.batches(blocks)
            next(batches).images.clone()
            batches.close()  # type: ignore[attr-defined]


MODE = FakeTensorMode(allow_non_fake_inputs=True)


@pytest.mark.parametrize("logits", ["own", "masked", "all"])
@pytest.mark.parametrize("labelled", [True, False])
def test_nothing_in_a_batch_waits_for_the_gpu(logits: Any, labelled: bool) -> None:
    """By fake tensors: reading a value, and copies that are not on their own, are what this process would wait for."""
    columns = None if logits == "own" else np.array([1, 3, 5])
    with MODE, torch.no_grad():
        with torch.device("cuda"):
            net = nn.Sequential(nn.AdaptiveAvgPool2d((2, 5)), nn.Flatten())  # fake weights cannot move
        subject = Subject("net", net, tiny_card(24, 3, 30), ClassHead(columns, logits))
        network = Inference(subject, torch.device("cuda"), resize=20, batch=4)
        network.draws = False  # known after the first batch, which compares the states of generators
        images = torch.empty((6, 3, 32, 32), dtype=torch.uint8, device="cuda")
        labels = torch.zeros(6, dtype=torch.int64, device="cuda") if labelled else None
        with HostWaits() as waits:
            scores = network.score(images, labels)
    assert scores.shape == (4, 6)
    assert waits.found == []


def test_a_wait_would_be_found() -> None:
    with MODE, torch.no_grad(), HostWaits() as waits:
        values = torch.empty(4, device="cuda")
        values.where(values > 0, -1)
        values.to("cpu", non_blocking=True)
        values.cpu()
        torch.zeros(3).to("cuda")
    assert waits.found == ["scalar_tensor", "_to_copy", "_to_copy"]
