"""Two runs of sequences, or of several passes, against each other."""

import re
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from ppbench.compare.comparability import NEVER_ALLOWED
from ppbench.compare.files import compare_files, files_beside_published
from ppbench.compare.report import ComparisonReport
from ppbench.errors import NotComparableError, UsageError
from ppbench.metrics.paired import floored_deviation, paired_interval
from tests.compare.runs import ERRORS, make_measured
from tests.report.test_sequences import FOREIGN, text_of
from tests.trial_runs import passes_run, sequence_run

ONE = sequence_run("one", n=60)
OTHER = sequence_run("other", n=60, jump=0.4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("compared")
    for run in (ONE, OTHER, sequence_run("videos", n=60, encoding="h264")):
        run.write(found / f"{run.run.model.name}.json")
    sequence_run("longer", n=60, frames={"tilt": 6}).write(found / "longer.json")
    for name, passes in (("four", 4), ("calm", 4), ("eight", 8)):
        passes_run(name, n=60, passes=passes).write(found / f"{name}.json")
    make_measured(ERRORS, name="plain", n=60).write(found / "plain.json")
    return found


def compared(folder, *names, allow=()):
    return compare_files([folder / f"{name}.json" for name in names], None, 0.95, allow)


def test_differences_are_paired_by_image(folder):
    (found,) = compared(folder, "one", "other")
    names = [difference.name for difference in found.group("metric")]
    assert names == ["mFP", "mFR", "uT5D", "mT5D"]
    pairs = {key: ONE.run.protocol.sequences.pairs(key) for key in ONE.trials.failures}
    parts = [np.mean([run.trials.failures[key] / pairs[key] for key in pairs], axis=0) for run in (ONE, OTHER)]
    expected = paired_interval(100 * (parts[1] - parts[0]), 0.95)
    assert found.metric("mFP").points == pytest.approx(expected, abs=1e-4)
    assert found.metric("mFP").label == "mFP[p10,d1,lossless]"
    assert found.metric("mFR").label == "mFR[one,p10,d1,lossless]"
    assert found.metric("mFR").reference == pytest.approx(100)
    assert found.metric("uT5D").unit == "places"
    far = [np.mean([run.trials.distances[key] / pairs[key] for key in pairs], axis=0) for run in (ONE, OTHER)]
    assert found.metric("uT5D").points == pytest.approx(paired_interval(far[1] - far[0], 0.95, 15), abs=1e-5)
    assert found.metric("mT5D").points is not None
    # Many tests at once are adjusted.
    (tilt,) = (d for d in found.group("corruption") if d.name == "tilt")
    assert tilt.p is not None
    assert tilt.p >= found.metric("mFP").p


@pytest.mark.parametrize("form", ["rich", "json", "csv", "markdown", "latex"])
def test_every_format_speaks_of_flips(folder, form):
    text = text_of(ComparisonReport(compared(folder, "one", "other"), all_metrics=True, cells=True), form)
    shown = re.sub(r'"error_consistency"|"group": "[a-z_0-9]+"|[a-z0-9]*_?corruption,', "", text)
    assert not FOREIGN.search(shown), FOREIGN.search(shown)
    assert "mFP" in text
    assert "flips" in text or form == "csv"


def test_a_run_is_like_itself(folder, tmp_path):
    sequence_run("one", n=60).write(tmp_path / "again.json")
    (found,) = compare_files([folder / "one.json", tmp_path / "again.json"], None, 0.95, [])
    assert found.is_alike
    assert "flip exactly as often on every image" in ComparisonReport([found]).as_dict()["comparisons"][0]["verdict"]


@pytest.mark.parametrize(
    ("one", "other", "field"),
    [
        ("one", "videos", "sequences 5 (translate 7) frames of h264 videos, one 5 (translate 7) lossless frames"),
        ("one", "longer", "sequences 5 (tilt 6, translate 7) lossless frames"),
        ("four", "eight", "passes 8, four 4"),
        ("four", "plain", "passes"),
        ("one", "four", "sequences"),
    ],
)
def test_runs_of_other_frames_or_passes_are_never_compared(folder, one, other, field):
    with pytest.raises(NotComparableError) as refused:
        compared(folder, one, other)
    assert field in f"{refused.value.message} {refused.value.hint}"
    assert refused.value.exit_code == 4
    assert "--allow" not in refused.value.hint


@pytest.mark.parametrize("field", NEVER_ALLOWED)
def test_nobody_can_allow_it(field):
    with pytest.raises(UsageError, match=f"--allow {field} is not allowed"):
        compare_files(["a", "b"], None, 0.95, [field])


def test_runs_of_passes_are_compared_by_each_image_s_share(folder):
    (found,) = compared(folder, "four", "calm")
    mean = found.metric("mean_error")
    assert mean.points is not None
    assert mean.label == "mean_error[fog+frost,s1,3,4 passes]"
    content = ComparisonReport([found]).as_dict()["comparisons"][0]
    assert content["error_consistency"] is None
    assert not found.group("calibration")
    sds = [
        np.std([100 - 100 * np.mean(of) / 60 for of in zip(*rights, strict=True)], ddof=1)
        for rights in (
            [cell.right_by_pass for cell in passes_run(name, n=60).run.cells if cell.severity]
            for name in ("four", "calm")
        )
    ]
    (pair,), (common,) = (ComparisonReport(of).sheets() for of in ([found], [found, found]))
    for sheet, columns in ((pair, (0, 1)), (common, (0, 1, 1))):
        line = next(line.cells for line in sheet.lines if line.cells[0] == "sd of the mean error over passes")
        assert line[1:] == tuple(f"{sds[place]:.2f}" for place in columns)
    assert all(d.p is not None for d in found.group("cell"))


def test_beside_published_figures_a_run_has_no_value_without_alexnet(folder):
    report = files_beside_published([folder / "one.json"], "imagenet-p-resnet50")
    assert "one" in str(report.as_dict())


def test_where_images_of_a_pass_share_a_draw_the_comparison_says_what_it_is_about(folder, tmp_path):
    run = passes_run("shared", n=60)
    model = run.run.model.model_copy(update={"shared_draws": True})
    replace(run, run=run.run.model_copy(update={"model": model})).write(tmp_path / "shared.json")
    (found,) = compare_files([folder / "four.json", tmp_path / "shared.json"], None, 0.95, [])
    assert found.remarks == (
        "all images of a pass share a draw of shared, so the variance between passes is added, and the intervals and "
        "p-values are about other images and other passes",
    )
    assert not compared(folder, "four", "calm")[0].remarks
    for name, cells in (
        ("mean_error", [key for key in run.trials.failures if key[1]]),
        ("fog/3", [("fog", 3)]),
        ("clean_error", [("clean", 0)]),
    ):
        shown = next(d for d in found.differences if d.name == name and d.group in ("metric", "cell"))
        assert shown.points == pytest.approx(with_passes(passes_run("four", n=60), run, cells), abs=2e-4)
    one = passes_run("single", n=60, passes=1)
    one = replace(one, run=one.run.model_copy(update={"model": model}))
    for name in ("a", "b"):
        one.write(tmp_path / f"{name}.json")
    (found,) = compare_files([tmp_path / "a.json", tmp_path / "b.json"], None, 0.95, [])
    assert found.remarks[0].endswith("are about other images, not about other passes")


def with_passes(reference, other, cells):
    """The interval of a mean difference over other images and other passes, written once more."""
    images, passes = (
        [100 * np.mean([of(run, cell) for cell in cells], axis=0) for run in (reference, other)]
        for of in (
            lambda run, cell: run.trials.failures[cell] / 4,
            lambda run, cell: 1 - np.array(run.run.cell(*cell).right_by_pass) / 60,
        )
    )
    own = (floored_deviation(images[1] - images[0]) ** 2) / 60
    between = np.var(passes[1] - passes[0], ddof=1) / 4
    freedom = (own + between) ** 2 / (own**2 / 59 + between**2 / 3)
    reach = stats.t.ppf(0.975, freedom) * (own + between) ** 0.5
    middle = np.mean(images[1] - images[0])
    return (middle, middle - reach, middle + reach)
