"""One model on its device: what enters it, in which pieces, and how outputs become scores."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from ppbench.devices import is_out_of_memory
from ppbench.errors import DataError, PpbenchError
from ppbench.evaluation.inference import Inference
from ppbench.evaluation.subject import ClassHead, Subject
from ppbench.models.card import Card
from ppbench.models.resnet import create_model
from tests.evaluation.models import tiny_subject, with_own_head
from tests.trees import photographs

pytestmark = pytest.mark.usefixtures("_small_forwards")

CPU = torch.device("cpu")
OWN = ClassHead(None, "own")


def images(count: int, size: int = 32, channels: int = 3) -> Tensor:
    """Photographs as the stream gives them."""
    pixels = np.stack(photographs(size, count))[..., :channels]
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2)


def labels(count: int, classes: int = 10) -> Tensor:
    return torch.arange(count) % classes


class Recorder(nn.Module):
    """Gives the same logits for the same image, and keeps what came in."""

    def __init__(self, fits: int = 10**9, error: type[RuntimeError] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.fits, self.error, self.seen = fits, error, []  # type: ignore[var-annotated]

    def forward(self, x: Tensor) -> Tensor:
        if len(x) > self.fits:
            raise self.error("DefaultCPUAllocator: can't allocate memory")
        self.seen.append(x)
        return x.mean((2, 3)).repeat(1, 4)[:, :10] * torch.arange(1, 11)


def subject(model: nn.Module, head: ClassHead = OWN, **card: object) -> Subject:
    fields = {"architecture": "x", "num_classes": 10, "input_size": 32, "mean": (0.1, 0.2, 0.3), "std": (0.5, 0.4, 0.3)}
    return Subject("net", model, Card(**(fields | card)), head)  # type: ignore[arg-type]


def test_preprocessing_is_that_of_torchvision() -> None:
    recorder = Recorder()
    Inference(subject(recorder), CPU, batch=5).score(images(5), labels(5))
    transform = torchvision.transforms.Compose(
        [torchvision.transforms.ToTensor(), torchvision.transforms.Normalize((0.1, 0.2, 0.3), (0.5, 0.4, 0.3))]
    )
    expected = torch.stack([transform(photo) for photo in photographs(32, 5)])
    (seen,) = recorder.seen
    assert seen.dtype == torch.float32
    assert seen.is_contiguous(memory_format=torch.channels_last)
    assert torch.allclose(seen, expected, atol=1e-6)


def test_grey_images_enter_a_colour_network_three_times() -> None:
    recorder = Recorder()
    Inference(subject(recorder), CPU).score(images(4, channels=1), labels(4))
    assert recorder.seen[0].shape[1:] == (3, 32, 32)


def test_a_resize_that_was_asked_for_is_pillows() -> None:
    recorder = Recorder()
    Inference(subject(recorder, input_size=24, mean=(0, 0, 0), std=(1, 1, 1)), CPU, resize=28, batch=4).score(
        images(4), labels(4)
    )
    (seen,) = recorder.seen
    for got, photo in zip(seen, photographs(32, 4), strict=True):
        small = Image.fromarray(photo).resize((28, 28), Image.Resampling.BILINEAR).crop((2, 2, 26, 26))
        difference = np.abs(got.permute(1, 2, 0).numpy() * 255 - np.asarray(small))
        assert difference.max() <= 1.001  # Pillow rounds between its two passes


@pytest.mark.parametrize(("resize", "corner"), [(28, (6, 2)), (20, (1, -2))])
def test_of_images_that_are_no_squares_the_shorter_side_is_resized(resize: int, corner: tuple[int, int]) -> None:
    recorder, wide = Recorder(), images(1).repeat(1, 1, 1, 2)[..., :42]
    network = Inference(subject(recorder, input_size=24, mean=(0, 0, 0), std=(1, 1, 1)), CPU, resize=resize, batch=1)
    network.score(wide, labels(1))
    small = Image.fromarray(wide[0].permute(1, 2, 0).numpy())
    small = small.resize((resize * 42 // 32, resize), Image.Resampling.BILINEAR)
    left, top = corner  # Pillow fills with black what is outside, as a centre crop does
    cut = np.asarray(small.crop((left, top, left + 24, top + 24)))
    assert np.abs(recorder.seen[0][0].permute(1, 2, 0).numpy() * 255 - cut).max() <= 1.001


@pytest.mark.parametrize("batch", [1, 2, 3, 7, 16])
def test_the_batch_leaves_no_trace_in_the_scores(batch: int) -> None:
    """Exactly: fewer images than a forward pass has are filled up."""
    network = Inference(with_own_head(tiny_subject(size=32, channels=3)), CPU)
    with torch.inference_mode():
        whole = network.score(images(16), labels(16))
        parts = [network.score(images(16)[i : i + batch], labels(16)[i : i + batch]) for i in range(0, 16, batch)]
    assert torch.equal(torch.cat(parts, dim=1), whole)


def test_nor_do_batch_and_threads_in_those_of_a_resnet50() -> None:
    """Of which other numbers of images do change the last bits."""
    torch.manual_seed(0)
    card = Card(architecture="resnet50", num_classes=10, input_size=40, mean=(0.5,) * 3, std=(0.2,) * 3)
    network = Inference(Subject("resnet50", create_model("resnet50", 10), card, OWN), CPU)
    threads, found = torch.get_num_threads(), []
    try:
        for number, batch in ((1, 2), (2, 2), (2, 1)):
            torch.set_num_threads(number)
            parts = range(0, 2, batch)
            with torch.inference_mode():
                scores = [network.score(images(2, 40)[i : i + batch], labels(2)[i : i + batch]) for i in parts]
            found.append(torch.cat(scores, dim=1))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(scores, found[0]) for scores in found[1:])


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, RuntimeError])
def test_out_of_memory_halves_the_batch_and_loses_nothing(error: type[RuntimeError]) -> None:
    expected = Inference(subject(Recorder()), CPU).score(images(23), labels(23))
    recorder = Recorder(fits=3, error=error)
    network = Inference(subject(recorder), CPU)
    assert torch.equal(network.score(images(23), labels(23)), expected)
    assert network.batch == 2
    recorder.seen.clear()
    network.score(images(4), labels(4))
    assert [len(x) for x in recorder.seen] == [2, 2]  # remembered


@pytest.mark.parametrize(
    "words", ["CUDA error: out of memory", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "CUBLAS_STATUS_ALLOC_FAILED"]
)
def test_out_of_memory_has_many_names(words: str) -> None:
    assert is_out_of_memory(RuntimeError(words))
    assert not is_out_of_memory(RuntimeError("shapes do not match"))


def test_not_even_one_image_fits() -> None:
    with pytest.raises(PpbenchError, match="cpu has too little memory for one image through net"):
        Inference(subject(Recorder(fits=0)), CPU).score(images(4), labels(4))


def test_other_errors_of_the_network_are_told_in_one_line() -> None:
    class Faulty(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("shapes do not match")

    network = Inference(subject(Faulty()), CPU)
    for call in (lambda: network.score(images(2), labels(2)), lambda: network.observe(images(2))):
        with pytest.raises(DataError, match="net raised RuntimeError: shapes do not match in its forward pass"):
            call()


def test_outputs_of_another_number_than_the_card_says() -> None:
    with pytest.raises(DataError, match=r"net gave outputs of shape \(2, 10\) for 2 images; its card says 7 classes"):
        Inference(subject(Recorder(), num_classes=7), CPU, batch=2).score(images(2), labels(2))


def test_masked_and_competing_outputs() -> None:
    class Constant(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.tensor([0.0, 5.0, 9.0, 1.0, 7.0]).expand(len(x), 5)

    columns = np.array([1, 4])
    two = torch.tensor([0, 1])
    masked = Inference(subject(Constant(), ClassHead(columns, "masked"), num_classes=5), CPU).score(images(2), two)
    assert masked[0].tolist() == [1, 0]
    competing = Inference(subject(Constant(), ClassHead(columns, "all"), num_classes=5), CPU).score(images(2), two)
    assert competing[0].tolist() == [2, 1]


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_is_close_and_another(precision: str) -> None:
    def confidences(name: str) -> Tensor:
        network = Inference(with_own_head(tiny_subject(size=32, channels=3)), CPU, precision=name)
        with torch.inference_mode():
            return network.score(images(16), labels(16))[2]

    full, half = confidences("fp32"), confidences(precision)
    assert not torch.equal(full, half)
    assert (full - half).abs().max() < 60_000  # of a million


def small() -> Subject:
    torch.manual_seed(0)
    return subject(nn.Sequential(nn.Conv2d(3, 10, 3, 4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


def test_a_compiled_network_gives_the_same_to_float32() -> None:
    plain, compiled = (Inference(small(), CPU, compiled=compiled) for compiled in (False, True))
    with torch.inference_mode():
        scores = [network.score(images(8), labels(8)) for network in (plain, compiled)]
    assert torch.equal(scores[0][0], scores[1][0])
    assert (scores[0] - scores[1]).abs().max() < 50


def test_all_networks_of_a_class_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch has a limit, beyond which it says nothing that an evaluation shows."""
    from torch._dynamo.utils import counters

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="eager"))
    torch._dynamo.reset()
    before = counters["stats"]["unique_graphs"]
    with torch._dynamo.config.patch(recompile_limit=1):
        for classes in (2, 3, 4):
            net = nn.Sequential(nn.Flatten(), nn.Linear(3 * 64, classes))
            network = Inference(subject(net, num_classes=classes), CPU, compiled=True, batch=1)
            network.score(torch.zeros((1, 3, 8, 8), dtype=torch.uint8), None)
    torch._dynamo.reset()
    assert counters["stats"]["unique_graphs"] - before == 3


def test_on_a_gpu_a_compiled_network_is_a_graph_whose_outputs_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    """On torch's fake tensors: each pass begins a step, and its logits are not the graph's own memory."""
    given, steps = [], []

    def note(model: nn.Module, **how: object) -> nn.Module:
        given.append(how)
        return model

    monkeypatch.setattr(torch, "compile", note)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: steps.append(1))
    with FakeTensorMode():
        static = torch.empty((4, 30), device="cuda")
        net = nn.Sequential(nn.AdaptiveAvgPool2d((2, 5)), nn.Flatten())
        net.register_forward_hook(lambda *_: static)
        network = Inference(subject(net, num_classes=30), torch.device("cuda"), compiled=True, batch=4)
        logits = network._all_logits(torch.empty((4, 3, 32, 32), dtype=torch.uint8, device="cuda"))
        network.score(torch.empty((7, 3, 32, 32), dtype=torch.uint8, device="cuda"), None)
    assert logits is not static
    assert logits._base is None
    assert given == [{"mode": "reduce-overhead", "dynamic": False}]
    assert len(steps) == 3
    assert not Inference(small(), CPU)._has_graph


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_in_half_precision_the_classifier_gives_float32(precision: str) -> None:
    given = with_own_head(tiny_subject(size=32, channels=3))
    with torch.inference_mode():
        logits = [Inference(given, CPU, precision=name)._all_logits(images(4)) for name in ("fp32", precision)]
    assert [one.dtype for one in logits] == [torch.float32] * 2
    assert type(given.model.fc) is nn.Linear


def test_a_compiler_that_fails_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(model: nn.Module) -> nn.Module:
        def forward(x: Tensor) -> Tensor:
            raise torch._dynamo.exc.TorchDynamoException("no C++ compiler\nand much more")

        model.forward = forward  # type: ignore[method-assign]
        return model

    monkeypatch.setattr(torch, "compile", fail)
    with pytest.raises(PpbenchError, match=r"cannot compile the network here \(no C\+\+ compiler\)"):
        Inference(small(), CPU, compiled=True).score(images(2), labels(2))


def test_too_little_memory_to_compile_halves_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    class InductorError(RuntimeError):
        __module__ = "torch._inductor.exc"

    def short_of_memory(model: nn.Module) -> nn.Module:
        run = model.forward

        def forward(x: Tensor) -> Tensor:
            if len(x) > 4:
                raise InductorError("OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB")
            return run(x)

        model.forward = forward  # type: ignore[method-assign]
        return model

    expected = Inference(small(), CPU).score(images(9), labels(9))
    monkeypatch.setattr(torch, "compile", short_of_memory)
    network = Inference(small(), CPU, compiled=True)
    found = network.score(images(9), labels(9))
    assert network.batch <= 4
    assert torch.equal(found[0], expected[0])


def test_a_network_that_ends_python_is_an_error() -> None:
    class Leaves(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise SystemExit(0)

    with pytest.raises(DataError, match="net raised SystemExit: 0 in its forward pass"):
        Inference(subject(Leaves()), CPU).score(images(2), labels(2))
