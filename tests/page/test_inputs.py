import pytest

from ppbench.errors import DataError, NotComparableError, UsageError
from ppbench.page.inputs import read_inputs
from tests.page.runs import tiny, write_pages_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inputs")


@pytest.fixture(scope="module")
def pair(folder):
    return write_pages_run(folder / "plain.json"), write_pages_run(folder / "better.json", "better")


def test_one_run_is_compared_with_nothing(pair):
    inputs = read_inputs([pair[0]])
    assert inputs.comparisons == ()
    assert inputs.no_comparison is None
    assert inputs.reference is None
    assert [run.name for run in inputs.runs] == ["plain"]


def test_a_baseline_is_no_run_of_the_report(pair):
    inputs = read_inputs([pair[1]], pair[0])
    assert [run.name for run in inputs.runs] == ["better"]
    assert inputs.reference is inputs.baseline
    assert [(one.reference.name, one.other.name) for one in inputs.comparisons] == [("plain", "better")]
    assert inputs.drawn_baseline is inputs.baseline


def test_the_first_of_several_is_the_reference(pair):
    inputs = read_inputs(pair)
    assert inputs.baseline is None
    assert inputs.reference is inputs.runs[0]
    assert [(one.reference.name, one.other.name) for one in inputs.comparisons] == [("plain", "better")]


def test_models_of_one_name_are_called_by_their_files(folder):
    paths = [tiny(folder / f"{name}.json", "net", weights=str(place)) for place, name in enumerate(("one", "two"))]
    assert [run.name for run in read_inputs(paths).runs] == ["one", "two"]


def test_the_baseline_is_the_normaliser_where_nothing_is_customary(pair):
    ratios = {metric.name: metric for metric in read_inputs([pair[1]], pair[0]).runs[0].summary.metrics}
    assert ratios["mCE"].value is not None
    assert "plain" in ratios["mCE"].label


def test_without_bits_nothing_is_paired(folder, pair):
    bare = write_pages_run(folder / "bare.json", "better", bits=False)
    inputs = read_inputs([bare], pair[0])
    assert inputs.comparisons == ()
    assert inputs.no_comparison is not None
    assert "better has none" in inputs.no_comparison


def test_other_protocols_are_refused_with_and_without_bits(folder, pair):
    other = tiny(folder / "other.json", "other", recipe="cifar-c")
    with pytest.raises(NotComparableError, match="recipe cifar-c"):
        read_inputs([other], tiny(folder / "this.json", "this"))
    bare = write_pages_run(folder / "bare2.json", "better", bits=False)
    with pytest.raises(NotComparableError, match="n 40"):
        read_inputs([bare], other)


def test_an_allowed_difference_is_said(folder):
    runs = [tiny(folder / f"p{name}.json", name, precision=name, weights=str(place)) for place, name in
            enumerate(("fp32", "bf16"))]  # fmt: skip
    inputs = read_inputs(runs, allow=["precision"])
    assert "precision bf16" in inputs.comparisons[0].allowed[0]


def test_a_missing_file_is_named(pair, folder):
    with pytest.raises(DataError, match=r"none\.json"):
        read_inputs([folder / "none.json"], pair[0])


def test_a_confidence_that_is_none_is_refused(pair):
    with pytest.raises(UsageError):
        read_inputs([pair[0]], confidence=2.0)
