"""The tables: what their files say, and what they may not say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from ppbench.errors import DataError, UsageError
from ppbench.metrics import CellErrors, net_robustness
from ppbench.reproduce.networks import wanted_recipe
from ppbench.reproduce.table import Table, load_table
from ppbench.vocabulary import C15, SEVERITIES
from tests.reproduce.miniature import make_table, write_mini

PAPER = {
    "plain": (26.9, 66.7, 0.00),
    "pp3": (28.2, 64.5, 1.67),
    "pp5": (27.6, 64.5, 2.79),
    "autoaugment": (26.9, 63.0, 6.86),
    "autoaugment+pp3": (28.3, 60.4, 9.05),
    "augmix": (26.9, 61.2, 10.14),
    "augmix+pp3": (28.7, 59.0, 10.97),
    "prime": (29.8, 52.2, 21.57),
    "prime+pp3": (30.6, 50.0, 24.31),
}
"""Of the paper's table of ResNet-50: clean error, mean error, R_net."""

CLEAN, MEAN, NET = "clean_error", "mean_error[c15,s1-5]", "R_net[plain,c15,s1-5]"


@pytest.fixture(scope="module")
def imagenet() -> Table:
    return load_table("imagenet-resnet50")


def test_the_nine_rows_are_those_of_the_paper(imagenet: Table) -> None:
    found = {row.id: tuple(row.published[label] for label in (CLEAN, MEAN, NET)) for row in imagenet.rows}
    assert found == PAPER
    networks = {row.id: row.model for row in imagenet.rows}
    assert {name for name, model in networks.items() if model == "resnet50-pp3"} == {
        name for name in PAPER if name.endswith("pp3")
    }


@pytest.mark.parametrize("name", PAPER)
def test_the_published_r_net_is_that_of_the_published_errors(name: str) -> None:
    """Within rounding: E and the mean error have three digits, so that their sum of four is known to 0.2 points."""

    def constant(row: str) -> CellErrors:
        clean, mean, _ = PAPER[row]
        return CellErrors.from_errors(row, {(c, s): mean / 100 for c in C15 for s in SEVERITIES}, clean / 100)

    net = net_robustness(constant(name), constant("plain"))
    assert net.label == NET
    assert net.value == pytest.approx(PAPER[name][2], abs=100 * 0.2 / (2 * 26.9))


def test_what_the_papers_code_does_otherwise_is_named() -> None:
    """The order of augmentation, who wrote AugMix, and the end of the learning rate as torch computes it."""
    told = {
        name: " ".join(load_table(name).protocol_differences) for name in ("imagenet-resnet50", "cifar10-shot-noise")
    }
    assert "applies AutoAugment and AugMix first" in told["imagenet-resnet50"]
    assert "AugMix is reimplemented" in told["imagenet-resnet50"]
    for name, table in told.items():
        recipe = wanted_recipe(load_table(name), load_table(name).rows[0], 0)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=recipe.lr,
            total_steps=2,
            div_factor=recipe.lr / recipe.lr_start,
            final_div_factor=recipe.lr / recipe.lr_end,
        )
        optimizer.step()
        schedule.step()
        end = optimizer.param_groups[0]["lr"]
        assert f"gives {recipe.lr_end:.0e} as the final learning rate".replace("e-0", "e-") in table
        assert f"so that its runs end at {end:.3g}.".replace("e-0", "e-") in table


def test_shot_noise_on_cifar_is_the_papers() -> None:
    table = load_table("cifar10-shot-noise")
    accuracies = {
        "resnet18": (0.931, 0.846, 0.753, 0.524, 0.439, 0.317),
        "resnet18-pp5": (0.929, 0.865, 0.789, 0.582, 0.504, 0.384),
        "resnet50": (0.931, 0.834, 0.741, 0.521, 0.427, 0.304),
        "resnet50-pp5": (0.932, 0.857, 0.780, 0.581, 0.492, 0.360),
    }
    for row in table.rows:
        errors = [row.published[label] for label in table.metrics]
        assert errors == pytest.approx([100 * (1 - accuracy) for accuracy in accuracies[row.id]], abs=1e-9)


def test_unknown_names_are_answered_with_the_nearest(imagenet: Table) -> None:
    with pytest.raises(UsageError, match="unknown table 'imagenet-resnet5'") as caught:
        load_table("imagenet-resnet5")
    assert "did you mean 'imagenet-resnet50'?" in caught.value.hint
    with pytest.raises(UsageError, match="unknown row 'augmx'") as caught:
        imagenet.select(["plain", "augmx"])
    assert "did you mean 'augmix'" in caught.value.hint


def test_rows_come_in_the_order_of_the_table_once(imagenet: Table) -> None:
    assert [row.id for row in imagenet.select(["prime", "pp3", "prime"])] == ["pp3", "prime"]
    assert imagenet.select(None) == imagenet.rows


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"baseline": "other"}, "the baseline other is not one of the rows"),
        ({"seeds": [1, 1]}, "a seed appears twice"),
        ({"metrics": ["R_net[pp3,c15,s1-5]"]}, "must be compared with the baseline plain, not with another row"),
        ({"metrics": ["R_net[plain,c19,s1-5]"]}, "R_net needs c15 itself"),
        ({"metrics": ["mean_error[snow+fog,s1-5]"]}, r"must be written mean_error\[fog\+snow,s1-5\]"),
        ({"rows": [{"id": "plain", "label": "", "model": "resnet8"}] * 2}, "the row plain appears twice"),
        ({"rows": [{"id": "../x", "label": "", "model": "resnet8"}]}, "pattern"),
        (
            {"rows": [{"id": "plain", "label": "", "model": "resnet8", "published": {"mCE": 1.0}}]},
            "mCE has a published figure, but is not one of the metrics",
        ),
    ],
)
def test_tables_that_contradict_themselves_are_refused(values: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        make_table(**values)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ('model = "resnet8-pp3"', 'model = "resnet9"', "unknown model 'resnet9'"),
        ("seeds = [0]", "seeds = [-1]", "seeds.0"),
        ('source = "', 'sauce = "', "source: Field required"),
        ('title = "A', "title = A", "is not TOML"),
        ('dataset = "fashion-mnist-2k"', 'dataset = "fashion"', "unknown dataset 'fashion'"),
        ('"fog"]', '"fogg"]', "unknown corruption 'fogg'"),
    ],
)
def test_files_are_refused_in_one_line(tmp_path: Path, before: str, after: str, words: str) -> None:
    path = write_mini(tmp_path, (before, after))
    with pytest.raises(UsageError, match=words) as caught:
        load_table(str(path))
    assert str(path) in caught.value.message


def test_the_example_in_the_docs_is_a_table(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reproduce.md").read_text()
    path = tmp_path / "mine.toml"
    path.write_text(page.partition("```toml\n")[2].partition("```")[0])
    table = load_table(str(path))
    assert wanted_recipe(table, table.row("augmix+pp3"), 0).jsd
    assert wanted_recipe(table, table.row("plain"), 0).epochs == 10


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read the table"):
        load_table(str(tmp_path / "none.toml"))
