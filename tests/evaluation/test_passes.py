"""Networks that draw random numbers, in several passes: against a plain loop, and what must not change a result."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

import ppbench
from ppbench.corruptions.random import normals
from ppbench.data.catalog import EMBEDDED
from ppbench.data.opening import open_source
from ppbench.data.source import Geometry, Source
from ppbench.errors import DataError
from ppbench.evaluation import loop
from ppbench.evaluation.api import evaluate
from ppbench.evaluation.keyed_draws import as_keys
from ppbench.evaluation.passes import PassKeys, RepeatedInference, count_passes
from ppbench.evaluation.plan import prepare
from ppbench.evaluation.request import EvalRequest
from ppbench.evaluation.subject import ClassHead, Subject
from ppbench.keys import hash64
from ppbench.models.load import LoadedModel
from ppbench.run import MeasuredRun, read_run, read_trials
from tests.evaluation.models import make_settings, measured, planned, with_own_head
from tests.evaluation.stochastic import coins, gaussian, noisy
from tests.evaluation.test_processes import processes_of

pytestmark = pytest.mark.usefixtures("_small_forwards")

N, K = 60, 3
CELLS = {"corruptions": ("fog",), "severities": (4,)}


def embedded(limit: int = N) -> Source:
    return open_source(EMBEDDED, None, Geometry(28, None), limit=limit)


def run(model: LoadedModel, passes: int | None = K, **request: Any) -> MeasuredRun:
    (result,), stopped_by = measured([model], embedded(), make_settings(**CELLS, passes=passes, **request))
    assert stopped_by is None
    return result


@pytest.fixture(scope="module")
def whole() -> MeasuredRun:
    return run(noisy(gaussian))


def pixels_of(source: Source) -> dict[tuple[str, int], np.ndarray]:
    clean = source.load("clean", 0, np.arange(N)).pixels
    fog = ppbench.corrupt(clean, "fog", 4, recipe="cifar-c", seed=0, ids=list(source.ids))
    return {("clean", 0): clean, ("fog", 4): fog}


def test_counts_equal_a_plain_loop_over_passes_and_images(whole: MeasuredRun) -> None:
    source, (_, model, card) = embedded(), noisy(gaussian)
    assert whole.run.protocol.passes == K
    assert whole.trials is not None
    for cell, pixels in pixels_of(source).items():
        right = np.zeros((K, N), bool)
        x = (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - card.mean[0]) / card.std[0]
        for number in range(K):
            for image, name in enumerate(source.ids):
                key = as_keys([hash64(f"0/passes/{name}".encode())])
                noise = normals(key, number * 2**20, 28 * 28).view(1, 1, 28, 28)
                with torch.inference_mode():
                    logits = model.network(x[image : image + 1] + 0.25 * noise)  # type: ignore[operator]
                right[number, image] = logits.argmax() == source.labels[image]
        counts = whole.run.cell(*cell)
        assert counts is not None
        assert counts.right_by_pass == tuple(right.sum(1).tolist())
        assert (counts.trials, counts.failures, counts.top1) == (K, (~right).sum(), right.all(0).sum())
        assert counts.error == pytest.approx(1 - right.mean())
        assert np.array_equal(whole.trials.failures[cell], (~right).sum(0))
        assert np.array_equal(whole.bits[cell], right.all(0))
        assert len(set(counts.right_by_pass)) > 1
    assert whole.predictions is None


def inference(
    subject: Subject, batch: int, *, passes: int = K, ids: list[str] | None = None, seed: int = 0, **how: Any
):  # type: ignore[no-untyped-def]
    names = ids or [f"image {place}" for place in range(N)]
    return RepeatedInference(
        subject, torch.device("cpu"), passes, PassKeys(seed, names), lambda line: None, batch=batch, **how
    )


@torch.inference_mode()
def logits_of(network: RepeatedInference, images: Tensor, places: np.ndarray) -> list[Tensor]:
    keys = network._keys.of(places)
    network._calls = network._look_at_calls(images, keys)
    return [network._in_pass(number, images, keys) for number in range(network._passes)]


def flat(noise: Callable[[Tensor], Tensor]) -> Subject:
    """A network whose roundings do not depend on the batch: noise, then each pixel's own logit."""

    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factor = nn.Parameter(torch.tensor(2.0))

        def forward(self, x: Tensor) -> Tensor:
            return self.factor * noise(x)[:, 0, 0, :2]

    _, _, card = coins(0.5)
    return Subject("pixels", Pixels(), card, ClassHead(None, "own"))


IMAGES = torch.randint(0, 256, (11, 1, 8, 8), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)


def test_batches_and_order_give_the_same_bits() -> None:
    subject, places = flat(lambda x: torch.distributions.Normal(x, 0.3).rsample()), np.arange(11) + 4
    expected = logits_of(inference(subject, 11), IMAGES, places)
    assert not torch.equal(expected[0], expected[1])
    for batch in (1, 3, 8):
        assert all(map(torch.equal, logits_of(inference(subject, batch), IMAGES, places), expected))
    order = torch.randperm(11, generator=torch.Generator().manual_seed(1))
    turned = logits_of(inference(subject, 8), IMAGES[order], places[order.numpy()])
    assert all(torch.equal(one, other[order]) for one, other in zip(turned, expected, strict=True))
    names = [f"image {place}" for place in range(4, 15)]
    assert all(map(torch.equal, logits_of(inference(subject, 3, ids=names), IMAGES, np.arange(11)), expected))
    assert not torch.equal(logits_of(inference(subject, 11, seed=1), IMAGES, places)[0], expected[0])


@pytest.mark.parametrize("how", [{"batch_size": 7}, {"precision": "bf16"}])
def test_a_run_depends_on_images_alone(whole: MeasuredRun, how: dict[str, Any]) -> None:
    (result,), _ = measured([noisy(gaussian)], embedded(20), make_settings(**CELLS, passes=K, **how))
    assert result.trials is not None
    assert whole.trials is not None
    assert whole.keys is not None
    there = np.isin(whole.keys, result.keys)
    for cell, failures in result.trials.failures.items():
        same = failures == whole.trials.failures[cell][there]
        assert same.all() if "precision" not in how else same.mean() > 0.8


def without_names(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    del content["provenance"]
    for part in ("bits", "trials"):
        content[part].pop("file")
    return content


def test_two_processes_go_on_after_an_interruption_and_the_files_are_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ppbench.evaluation.collector._FLUSH", -1.0)  # after every batch
    (tmp_path / "mine.py").write_text("from tests.evaluation.stochastic import gaussian, noisy\n"
                                      "def network():\n    return tuple(noisy(gaussian))[1:]\n")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    options: dict[str, Any] = {"model": "mine:network", "corruptions": "fog", "severities": 4, "limit": N, "passes": K}
    evaluate(**options, output="whole.json")
    score, calls = RepeatedInference.score, 0

    def interrupted(self: RepeatedInference, *arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return score(self, *arguments)

    monkeypatch.setattr(RepeatedInference, "score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        evaluate(**options, output="run.json", batch_size=9)
    assert Path("run.json.journal").stat().st_size > 1000
    # Two processes go on with what one had begun.
    call = ["-m", "mine:network", "-c", "fog", "-s", "4", "--limit", str(N), "--passes", str(K), "-o", "run.json"]
    done = processes_of(2, *call, "--format", "json")
    assert done.returncode == 0, done.stderr
    assert "reused 9 of 120 image evaluations" in done.stderr
    assert without_names(Path("run.json")) == without_names(Path("whole.json"))
    for suffix in ("bits.npy", "trials.npy.gz"):
        assert Path(f"run.{suffix}").read_bytes() == Path(f"whole.{suffix}").read_bytes()
    found = read_run("run.json")
    assert read_trials("run.json", found).failures.keys() == {("clean", 0), ("fog", 4)}


def test_a_network_without_draws_is_said_so_and_its_passes_are_equal() -> None:
    lines: list[str] = []
    model = noisy(lambda x: x, "steady")
    scored = loop.run(planned([model], embedded(), make_settings(**CELLS, passes=K)), say=lines.append)
    assert "steady draws no random numbers: its 3 passes are equal, and computed once" in lines
    plain, _ = measured([model], embedded(), make_settings(**CELLS))
    for cell in plain[0].run.cells:
        counts = scored.tallies[0].cell(cell.key)
        assert counts.right_by_pass == (cell.top1,) * K
        assert counts.error == pytest.approx(cell.error)


@pytest.mark.parametrize(("noise", "draws"), [(gaussian, True), (lambda x: x, False)])
def test_draws_without_passes_are_warned_of_once(noise: Callable[[Tensor], Tensor], draws: bool) -> None:
    lines: list[str] = []
    loop.run(planned([noisy(noise)], embedded(40), make_settings(**CELLS)), say=lines.append)
    warned = [line for line in lines if line.startswith("warning: noisy draws random numbers as it classifies")]
    assert len(warned) == draws
    assert all("`--passes 10`" in line for line in warned)


def by_numpy(x: Tensor, width: float = 1) -> Tensor:
    return x + width * torch.from_numpy(np.random.normal(size=x.shape).astype(np.float32))  # noqa: NPY002


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (by_numpy, "gives other outputs when the same pass is computed again"),
        (lambda x: by_numpy(x, 1e-5), "gives other outputs when the same pass is computed again"),
        (lambda x: x + torch.randn(2 * len(x), 1, 8, 8).view(2, len(x), 1, 8, 8)[0], "when other images are beside it"),
        (lambda x: (x - x.mean(0)) + torch.randn_like(x), "when other images are beside it"),
        (lambda x: x + torch.randn(1, len(x), 8, 8).transpose(0, 1), "first axis is not that of the images"),
        (lambda x: x[torch.randperm(len(x))], "it would mix the images of a batch"),
        (lambda x: x * torch.multinomial(x.new_ones(2), 1), r"draws by aten\.multinomial"),
    ],
    ids=["numpy", "a little numpy", "rows of others", "batch mean", "axis", "mixed", "unknown"],
)
def test_what_cannot_be_keyed_by_image_is_refused(noise: Callable[[Tensor], Tensor], message: str) -> None:
    with pytest.raises(DataError, match=message):
        logits_of(inference(flat(noise), 8), IMAGES, np.arange(11))


def test_weights_that_are_drawn_are_the_same_for_all_images_of_a_pass() -> None:
    # As many rows as images in the batch, which is what makes them look like theirs.
    subject = flat(lambda x: x + torch.randn(8, 8))
    first, second, _ = logits_of(inference(subject, 8), IMAGES, np.arange(11))
    plain = logits_of(inference(flat(lambda x: x), 8, passes=1), IMAGES, np.arange(11))[0]
    for drawn in (first - plain, second - plain):
        assert torch.allclose(drawn, drawn[:1].expand(11, 2), atol=1e-5)
    assert not torch.allclose(first, second, atol=1e-2)


def test_the_run_says_whether_images_share_draws_also_if_nothing_is_left_to_compute(tmp_path: Path) -> None:
    def of(noise: Callable[[Tensor], Tensor]) -> ppbench.run.Run:
        model, card = noisy(noise)[1:]
        how: dict[str, Any] = {"corruptions": "fog", "severities": 4, "limit": 20, "passes": 2}
        return evaluate(model, card=card, output=tmp_path / "run.json", overwrite=True, **how)

    path = tmp_path / "run.json"
    assert of(gaussian).model.shared_draws is None
    assert "shared_draws" not in path.read_text()
    for _ in range(2):
        assert of(lambda x: x + 0.25 * torch.randn(28, 28)).model.shared_draws is True
        assert read_run(path).model.shared_draws is True


@torch.inference_mode()
def test_right_answers_are_binomial_and_their_spread_shrinks_with_the_passes() -> None:
    network = inference(with_own_head(coins(0.3)), N, passes=240)
    images = torch.zeros(N, 1, 8, 8, dtype=torch.uint8)
    ranks = network.score(images, torch.zeros(N, dtype=torch.int64), np.arange(N)).numpy()
    trials = count_passes(("clean", 0), np.arange(N), ranks).trials
    assert trials is not None
    by_pass = (N - np.array(trials.as_counts()["right_by_pass"]).astype(float)) / N
    assert trials.as_counts()["failures"] == round(by_pass.sum() * N)
    counts = np.bincount((by_pass * N).round().astype(int), minlength=N + 1)
    middle = slice(int(stats.binom.ppf(0.02, N, 0.7)), int(stats.binom.ppf(0.98, N, 0.7)) + 1)
    law = stats.binom.pmf(np.arange(N + 1), N, 0.7)
    observed = [counts[: middle.start].sum(), *counts[middle], counts[middle.stop :].sum()]
    expected = [law[: middle.start].sum(), *law[middle], law[middle.stop :].sum()]
    assert stats.chisquare(observed, 240 * np.array(expected)).pvalue > 0.01
    spreads = [by_pass.reshape(-1, number).mean(1).std(ddof=1) for number in (1, 4)]
    assert spreads[0] == pytest.approx((0.3 * 0.7 / N) ** 0.5, rel=0.15)
    assert spreads[1] == pytest.approx(spreads[0] / 2, rel=0.3)


def test_it_stops_by_the_mean_over_passes_and_is_decided_against_a_run_with_as_many(tmp_path: Path) -> None:
    model, card = noisy(gaussian)[1:]
    options: dict[str, Any] = {"model": model, "card": card, "corruptions": "fog", "severities": 4, "passes": 2}
    stopped = evaluate(**options, limit=400, until=8.0, output=tmp_path / "one.json")
    assert stopped.stopping is not None
    assert stopped.stopping.reached
    assert 0 < stopped.protocol.n < 400
    fog = stopped.cell("fog", 4)
    assert fog is not None
    assert stopped.stopping.value == pytest.approx(100 * fog.error, abs=2)
    evaluate(**options, limit=60, output=tmp_path / "two.json")
    again = evaluate(**options, limit=60, until_decided=tmp_path / "two.json", max_drop=5)
    assert again.stopping is not None
    assert again.stopping.value == pytest.approx(0, abs=1e-9)
    with pytest.raises(ppbench.errors.NotComparableError, match="passes differ"):
        evaluate(**options | {"passes": 3}, limit=60, until_decided=tmp_path / "two.json")


def test_what_is_waited_for_has_what_varies_between_passes_where_images_share_draws(tmp_path: Path) -> None:
    lines: list[str] = []
    found = {}
    for noise in (gaussian, lambda x: x + 0.25 * torch.randn(28, 28)):
        model = noisy(noise)
        request = EvalRequest.of(
            models=[model], corruptions=("fog",), severities=("4",), passes=4, limit=64, until=1.0, output=None
        )
        (one,) = loop.measure(prepare(request), say=lines.append).runs
        found[one.run.model.shared_draws] = one.run
    assert [line for line in lines if "share a draw" in line] == [
        "all images of a pass share a draw of noisy: the interval is about other passes than these 4 too"
    ]
    widths = {}
    for shared, run in found.items():
        assert run.stopping is not None
        assert run.stopping.confidence == 0.95
        widths[shared] = (run.stopping.high - run.stopping.low) / 2
    (cell,) = (cell for cell in found[True].cells if cell.severity)
    assert cell.right_by_pass is not None
    sd = np.std([100 * right / 64 for right in cell.right_by_pass], ddof=1)
    assert widths[True] > widths[None] / 2 + stats.t.ppf(0.9875, 3) * sd / 2


def test_outputs_that_are_not_finite_in_any_pass_are_an_error() -> None:
    ranks = np.zeros((2, 4), np.int64)
    ranks[1, 2] = -1
    with pytest.raises(DataError, match="1 outputs that are not finite at fog/2"):
        count_passes(("fog", 2), np.arange(4), ranks)
