"""Pages of runs of sequences and of several passes."""

import re

import pytest

from ppbench.errors import NotComparableError, UsageError
from ppbench.figures.kinds import PlotRequest
from ppbench.page.leaderboard import leaderboard_html, read_folder
from ppbench.pictures.strip import picture_strip
from ppbench.report.load import load_summary
from ppbench.run import read_run, read_trials
from tests.page.runs import Elements, html_of
from tests.report.test_sequences import FOREIGN
from tests.trial_runs import passes_run, sequence_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("pages")
    for name, jump in (("one", 0.2), ("other", 0.5)):
        sequence_run(name, n=40, jump=jump, difficulties=(1, 2)).write(found / f"{name}.json")
    sequence_run("videos", n=40, encoding="h264").write(found / "videos.json")
    passes_run("noisy", n=40).write(found / "noisy.json")
    return found


def words_of(page):
    return " ".join(" ".join(Elements(page).words).split())


def test_a_page_of_sequences_speaks_of_flips(folder):
    page = html_of(folder / "one.json", folder / "other.json")
    text = words_of(page)
    assert not FOREIGN.search(text), text[max(0, FOREIGN.search(text).start() - 60) :][:140]
    assert "one flips its prediction in" in text
    assert "is less steady than one" in text
    assert "Flip probabilities by perturbation and difficulty" in text
    assert "5 (translate 7) lossless frames" in text
    assert "mFR[one,p10,d1-2,lossless]" in text
    assert "Difficulty curves" in text


def test_a_page_of_one_difficulty_has_no_curves(folder):
    text = words_of(html_of(folder / "videos.json"))
    assert "Difficulty curves" not in text
    assert "frames of h264 videos" in text
    assert "mFP[p10,d1,h264]" in text


def test_the_run_inside_has_its_trials(folder, tmp_path):
    page = tmp_path / "report.html"
    page.write_text(html_of(folder / "one.json"))
    run = read_run(page)
    kept = read_trials(folder / "one.json", read_run(folder / "one.json"))
    inside = read_trials(page, run)
    assert all((inside.failures[key] == failed).all() for key, failed in kept.failures.items())
    assert words_of(html_of(page)) == words_of(html_of(folder / "one.json")).replace("one.json", "report.html")


def test_a_page_of_passes_says_so(folder):
    text = words_of(html_of(folder / "noisy.json"))
    assert "4 passes" in text
    assert "passes over each image" in text
    spread = load_summary(folder / "noisy.json", None, None, 0.95).metrics[1].spread
    assert f"sd {spread:.2f} over passes" in text
    assert "Worst classes" not in text


def test_pages_and_rankings_never_mix(folder):
    with pytest.raises(NotComparableError):
        html_of(folder / "one.json", folder / "videos.json")
    board = read_folder(folder)
    labels = [ranking.label for ranking in board.rankings]
    assert sorted(labels) == [
        "mFP[p10,d1,h264]", "mFP[p10,d1-2,lossless]", "mean_error[fog+frost,s1,3,4 passes]",
    ]  # fmt: skip
    text = words_of(leaderboard_html(board))
    assert re.search("flip probabilities", text)
    assert "difficulties 1, 2" in text
    assert "the same images, perturbations and corruptions, difficulties and severities and classes" in text
    (folder / "only").mkdir()
    sequence_run("one", n=40).write(folder / "only" / "one.json")
    assert not FOREIGN.search(words_of(leaderboard_html(read_folder(folder / "only"))))


def test_figures_of_sequences(folder):
    one, other = folder / "one.json", folder / "other.json"
    heat = PlotRequest("heatmap", (one,)).content()
    assert [column.key for column in heat.columns] == ["d1", "d2", "mFP"]
    assert "by perturbation and difficulty" in heat.title
    curves = PlotRequest("severity", (one, other)).content()
    assert curves.title == "Flip probability by difficulty, %"
    (forest,) = PlotRequest("forest", (one, other)).content()
    assert forest.fewer == "flips fewer predictions"
    assert "uT5D, places" in [row.name for row in forest.sections[0].rows]
    with pytest.raises(UsageError, match="flips of sequences need no labels"):
        PlotRequest("reliability", (one,)).content()


def test_there_are_no_pictures_of_frames_or_passes():
    for run in (sequence_run(n=4), passes_run(n=4)):
        assert picture_strip(run, None).reason
