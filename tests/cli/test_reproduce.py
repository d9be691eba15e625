"""``ppbench reproduce`` as a user runs it, on a table in miniature that is really trained."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from ppbench.cli.main import app
from ppbench.models.build import build
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.train import fit
from ppbench.train.request import TrainRequest
from tests.reproduce.miniature import write_mini
from tests.trees import write_fashion_mnist

pytestmark = pytest.mark.usefixtures("_small_forwards")

runner = CliRunner()
MEAN = "mean_error[fog+gaussian_noise,s1-5]"


def call(folder: Path, *arguments: str, table: str = "mini.toml", data: bool = True) -> Result:
    given = ["--data", str(folder / "data")] if data else []
    fixed = ["reproduce", "--table", str(folder / table), "--work", str(folder / "work"), "--device", "cpu"]
    return runner.invoke(app, [*fixed, *given, *arguments])


def content(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the rows plain and pp3 were trained and measured."""
    folder = tmp_path_factory.mktemp("reproduce")
    write_mini(folder)
    write_fashion_mnist(folder / "data", train=80, test=40)
    result = call(folder, "--rows", "plain,pp3")
    assert result.exit_code == 0, result.output
    assert "26.90" in result.stdout
    return folder


@pytest.fixture
def copy(done: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    shutil.copytree(done, tmp_path / "copy")
    return tmp_path / "copy"


def test_rows_are_trained_and_measured_as_show_says(done: Path) -> None:
    found = content(call(done, "--rows", "plain,pp3", "--format", "json"))
    assert [row["row"] for row in found["rows"]] == ["plain", "pp3"]
    baseline = done / "work" / "runs" / "plain-0--fashion-mnist-2k.json"
    for row in found["rows"]:
        run = done / "work" / "runs" / f"{row['row']}-0--fashion-mnist-2k.json"
        shown = content(runner.invoke(app, ["show", str(run), "--baseline", str(baseline), "--format", "json"]))
        metrics = {metric["name"]: metric for metric in shown["metrics"]}
        for figure in row["measured"]:
            same = metrics[figure["column"].partition("[")[0]]
            assert figure["value"] == pytest.approx(same["value"], abs=1e-9)
            if row["row"] != "plain" or same["name"] != "R_net":
                assert (figure["low"], figure["high"]) == pytest.approx((same["low"], same["high"]), abs=1e-9)
        card = load_checkpoint(done / "work" / "checkpoints" / f"{row['row']}-0.safetensors").card
        assert card.recipe is not None
        assert card.recipe["epochs"] == 2


def test_differences_are_those_of_compare(done: Path) -> None:
    found = content(call(done, "--rows", "plain,pp3", "--format", "json"))["rows"][1]["against_baseline"]
    runs = [str(done / "work" / "runs" / f"{name}-0--fashion-mnist-2k.json") for name in ("plain", "pp3")]
    compared = runner.invoke(app, ["compare", *runs, "--format", "json"])
    assert compared.exit_code == 0, compared.output
    points = next(difference for difference in found if difference["name"] == MEAN)["points"]
    assert f"{points:.6f}"[:7] in compared.stdout


def test_what_is_done_is_not_done_again(done: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit, "train", None)
    monkeypatch.setattr("ppbench.evaluation.loop.measure", None)
    result = call(done, "--rows", "plain,pp3", "--format", "markdown", data=False)
    assert result.exit_code == 0, result.output
    assert "measured before: plain-0, pp3-0" in result.stderr
    assert "| + PP3 | 28.20 |" in result.stdout


def test_what_is_missing_is_left_out_if_nothing_is_to_be_trained(done: Path) -> None:
    result = call(done, "--no-train", "--format", "markdown", data=False)
    assert result.exit_code == 0, result.output
    assert "| + PRIME | – | – | – | – | – | – |" in result.stdout
    assert "not trained or not measured yet: + PRIME" in result.stdout


def test_other_images_are_measured_anew_beside_the_first(copy: Path) -> None:
    assert call(copy, "--rows", "pp3", "--limit", "20").exit_code == 0
    runs = sorted(path.name for path in (copy / "work" / "runs").glob("pp3-0*.json"))
    assert runs == ["pp3-0--fashion-mnist-2k-2.json", "pp3-0--fashion-mnist-2k.json"]
    found = content(call(copy, "--rows", "pp3", "--limit", "20", "--format", "json", data=False))
    assert found["protocol"]["n"] == 20
    # The baseline was not asked for and not measured on these images.
    assert [row["row"] for row in found["rows"]] == ["plain", "pp3"]
    assert found["rows"][0]["measured"] == []


def test_a_baseline_that_was_not_asked_for_is_used_if_it_was_measured(done: Path) -> None:
    found = content(call(done, "--rows", "pp3", "--format", "json", data=False))
    assert [row["row"] for row in found["rows"]] == ["plain", "pp3"]
    assert found["rows"][1]["measured"][2]["value"] is not None


def test_after_ctrl_c_the_same_command_goes_on(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = []
    real = fit.run_training

    def stopped(request: TrainRequest, *arguments: Any) -> Any:
        if len(trained) == 1:
            raise KeyboardInterrupt
        trained.append(request.recipe.seed)
        return real(request, *arguments)

    monkeypatch.setattr("ppbench.reproduce.training.run_training", stopped)
    arguments = ("--rows", "pp3", "--seeds", "0,1,2")
    ended = call(copy, *arguments)
    assert ended.exit_code == 130
    assert "the same command resumes from there" in ended.stderr
    assert trained == [1]
    trained.clear()
    monkeypatch.setattr("ppbench.reproduce.training.run_training", real)
    plan = content(call(copy, *arguments, "--dry-run", "--format", "json", data=False))
    assert [network["training"] for network in plan["networks"]] == ["take", "take", "train"]
    assert [network["evaluation"] for network in plan["networks"]] == ["take", "evaluate", "evaluate"]
    result = call(copy, *arguments, "--format", "json")
    assert content(result)["rows"][1]["seeds"] == [0, 1, 2]
    assert "training pp3-2 (1 of 1)" in result.stderr
    assert "training pp3-1" not in result.stderr


def test_the_evaluation_goes_on_where_it_was(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(copy / "work" / "runs")
    from ppbench.evaluation import journal

    monkeypatch.setattr(
        "ppbench.evaluation.collector._FLUSH", -1.0
    )  # every batch is written down, however fast the machine is
    real = journal.Journal.add

    def once(self: Any, records: Any) -> None:
        real(self, records)
        raise KeyboardInterrupt

    monkeypatch.setattr(journal.Journal, "add", once)
    assert call(copy, "--rows", "plain,pp3", data=False).exit_code == 130
    monkeypatch.setattr(journal.Journal, "add", real)
    again = call(copy, "--rows", "plain,pp3", "--format", "json", data=False)
    assert "reused" in again.stderr
    assert content(again)["rows"][1]["measured"][1]["value"] is not None


def test_one_row_that_fails_does_not_keep_the_others(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_mini(copy, ('augment = "prime"', 'augment = "prime"\noverrides = { lr = 1e30, grad_clip = 1e38 }'))
    result = call(copy, "--seeds", "3", "--rows", "prime,plain", "--format", "json")
    assert result.exit_code == 3, result.output
    rows = {row["row"]: row for row in json.loads(result.stdout)["rows"]}
    assert rows["prime"]["measured"] == []
    assert "prime-3" in rows["prime"]["failures"]
    assert rows["plain"]["measured"][0]["value"] is not None
    assert "1 of 2 networks failed: prime-3" in result.stderr
    assert "`--set lr=2.5e+29`" in result.stderr
    assert "--lr" not in result.stderr
    assert "Traceback" not in result.output


def test_a_network_of_another_recipe_is_refused(copy: Path) -> None:
    write_mini(copy, ("epochs = 2", "epochs = 3"))
    result = call(copy, "--rows", "pp3")
    assert result.exit_code == 2
    assert "was trained with another recipe than the row's: epochs 2 instead of 3" in " ".join(result.stderr.split())
    assert "--checkpoint pp3=" in result.stderr
    assert not list((copy / "work").rglob("*.part"))
    folder = copy / "work" / "checkpoints"
    given = [f"--checkpoint={row}={folder / row}-0.safetensors" for row in ("plain", "pp3")]
    taken = content(call(copy, *given, "--rows", "pp3", "--format", "json", data=False))
    assert taken["rows"][-1]["measured"][0]["value"] is not None


def test_a_checkpoint_of_ones_own_is_taken(copy: Path) -> None:
    path = copy / "work" / "checkpoints" / "pp3-0.safetensors"
    mine = copy / "mine.safetensors"
    checkpoint = load_checkpoint(path)
    save_checkpoint(mine, checkpoint.model, checkpoint.card.model_copy(update={"recipe": None}))
    path.unlink()
    found = content(call(copy, "--checkpoint", f"pp3={mine}", "--rows", "plain", "--format", "json", data=False))
    assert [row["row"] for row in found["rows"]] == ["plain", "pp3"]
    assert not path.exists()
    told = {row["row"]: row["given"] for row in found["rows"]}
    assert told == {
        "plain": [],
        "pp3": [{"seed": 0, "checkpoint": str(mine), "differences": ["its card has no recipe"]}],
    }


def test_what_a_given_network_has_not_in_common_with_its_row_is_told(copy: Path) -> None:
    folder = copy / "work" / "checkpoints"
    checkpoint = load_checkpoint(folder / "pp3-0.safetensors")
    changed = {
        "fraction": {"recipe": {**(checkpoint.card.recipe or {}), "fraction": 0.5}},
        "converted": {
            "recipe": None,
            "rectified_push": False,
            "origin": {"name": "plain-0", "architecture": "resnet8", "weights": "0"},
            "trained_on": "cifar10",
        },
    }
    for name, values in changed.items():
        card = checkpoint.card.model_copy(update=values)
        save_checkpoint(copy / f"{name}.safetensors", build(card), card)
    given = [f"--checkpoint=pp3={copy / name}.safetensors" for name in changed]
    same = f"--checkpoint=plain={folder / 'plain-0.safetensors'}"
    arguments = (*given, same, "--rows", "pp3", "--seeds", "0,1", "--no-train")
    result = call(copy, *arguments, "--format", "markdown", data=False)
    assert result.exit_code == 0, result.output
    words = [
        "fraction 0.5 instead of 1.0",
        "its card has no recipe, trained on cifar10 instead of fashion-mnist, "
        "push not rectified (ppbench convert of plain-0)",
    ]
    notes = result.stdout.replace("\\", "")  # Markdown's
    for seed, name in enumerate(changed):
        assert f"+ PP3, seed {seed}: given: {copy / name}.safetensors; differs: {words[seed]}." in notes
    assert f"ResNet-8: given: {folder / 'plain-0.safetensors'}." in notes
    plan = call(copy, *arguments, "--dry-run", "--format", "markdown", data=False)
    assert f"pp3-0: given: {copy / 'fraction'}.safetensors; differs: {words[0]}." in plan.stdout.replace("\\", "")
    table = call(copy, *arguments, "--format", "csv", data=False).stdout
    assert f"pp3,given,{copy / 'fraction'}.safetensors,0,,,,,,{words[0]}\n" in table
    # In the folder of the table it is refused, even with the row's own recipe.
    card = checkpoint.card.model_copy(update={"rectified_push": False})
    save_checkpoint(folder / "pp3-0.safetensors", build(card), card)
    refused = call(copy, "--rows", "pp3", data=False)
    assert refused.exit_code == 2
    assert "another recipe than the row's: push not rectified" in " ".join(refused.stderr.split())


def test_what_ppbench_train_wrote_with_the_rows_settings_is_taken(copy: Path) -> None:
    """As docs/reproduce.md says to train a row on several devices."""
    settings = ["--dataset", "fashion-mnist", "--recipe", "fashion-mnist", "--epochs", 2, "--batch-size", 40]
    settings += ["--lr", 0.05, "--model", "resnet8", "--augment", "prime", "--data", copy / "data"]
    path = copy / "work" / "checkpoints" / "prime-0.safetensors"
    trained = runner.invoke(app, ["train", *map(str, settings), "--device", "cpu", "-o", str(path)])
    assert trained.exit_code == 0, trained.output
    plan = content(call(copy, "--dry-run", "--format", "json", data=False))
    assert [network["training"] for network in plan["networks"]] == ["take"] * 3


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--checkpoint", "pp3=plain-0.safetensors"), 2, "holds a resnet8; the row pp3 is a resnet8-pp3"),
        (("--checkpoint", "pp3=none.safetensors"), 3, "none.safetensors"),
        (("--checkpoint", "pp3"), 2, "--checkpoint pp3 is not ROW=FILE"),
        (("--checkpoint", "pp4=a.safetensors"), 2, "did you mean 'pp3'"),
        (("--checkpoint", "plain=plain-0.safetensors", "--checkpoint", "plain=plain-0.safetensors"), 2, "2 times"),
        (("--rows", "pp4"), 2, "did you mean 'pp3'"),
        (("--rows", ","), 2, "--rows has no value"),
        (("--seeds", "a"), 2, "--seeds a is not allowed"),
        (("--seeds", "1,1"), 2, "--seeds 1,1 is not allowed"),
        (("--rows", "prime"), 3, "no --data to train prime-0"),
        (("--rows", "prime", "--data", "nowhere"), 3, "there is no folder nowhere"),
        (("--rows", "prime", "--data", ".", "--work", "plain-0.safetensors"), 3, "cannot write plain-0.safetensors"),
        (("--confidence", "2"), 2, "confidence of 2"),
        (("--set", "epochs"), 2, "--set epochs is not KEY=VALUE"),
        (("--set", "epochs=0"), 2, "--set epochs=0 is not allowed"),
        (("--set", "name=mine"), 2, "--set name: there is no such setting"),
        (("--set", "seed=1"), 2, "--set seed is not allowed"),
        (("--set", "epochs=3"), 2, "another recipe than the row's: epochs 2 instead of 3"),
        (("--set", "lr=x"), 2, "--set lr=x is not allowed"),
        (("--set", "flip=2"), 2, "--set flip=2 is not allowed"),
        (("--set", "epochs=abc"), 2, "--set epochs=abc is not allowed"),
        (("--set", "fration=0.5"), 2, "--set fration: there is no such setting did you mean 'fraction'"),
        (("--limit", "0", "--rows", "plain"), 2, "--limit 0"),
        (("--dry-run", "--gpu", "a10"), 2, "did you mean 'a100'"),
    ],
)
def test_bad_input_is_answered_in_a_line(
    done: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], code: int, words: str
) -> None:
    monkeypatch.chdir(done / "work" / "checkpoints")
    result = call(done, *arguments, data=False)
    assert result.exit_code == code, result.output
    assert words in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_row_that_another_process_trains_is_left_to_it(copy: Path) -> None:
    from ppbench.files import try_lock

    lock = copy / "work" / "checkpoints" / ".prime-0.safetensors.lock"
    with lock.open("ab") as file:
        assert try_lock(file)
        result = call(copy)
    assert result.exit_code == 3
    assert "another process is training prime-0" in " ".join(result.stderr.split())
    assert not (copy / "work" / "checkpoints" / "prime-0.safetensors").exists()


def test_the_plan_is_told_without_doing_anything(tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["reproduce", "--table", "imagenet-resnet50", "--work", str(tmp_path / "w"), "--dry-run"]
    )
    assert result.exit_code == 0, result.output
    assert result.stdout.count("augmix+pp3-0") == 1  # in 80 columns
    assert "with one network on each" in " ".join(result.stdout.split())
    assert not (tmp_path / "w").exists()
    arguments = ["reproduce", "--table", "imagenet-resnet50", "--work", str(tmp_path), "--dry-run", "--format", "json"]
    plan = content(runner.invoke(app, arguments))
    assert [network["training"] for network in plan["networks"]] == ["train"] * 9
    assert plan["sum_hours"]["training_1"] == pytest.approx(sum(n["training_hours"][0] for n in plan["networks"]))
    assert plan["sum_hours"]["training_8"] < 9
    # Nine equal rows on eight devices: one of them trains two.
    assert plan["training_8_apart_hours"] == pytest.approx(2 * plan["networks"][0]["training_hours"][0])
    slower = content(runner.invoke(app, [*arguments, "--images-per-second", "100"]))
    assert slower["sum_hours"]["training_1"] == pytest.approx(9 * 20 * 1_281_167 / 100 / 3600)
    settings = ("--set", "epochs=90", "--set", "precision=bf16", "--set", "batch_size=256")
    longer = content(runner.invoke(app, [*arguments, *settings]))
    assert longer["sum_hours"]["training_1"] == pytest.approx(4.5 * plan["sum_hours"]["training_1"])
    assert {network["recipe"]["precision"] for network in longer["networks"]} == {"bf16"}
    fewer = content(runner.invoke(app, [*arguments, "--limit", "5000"]))
    assert fewer["sum_hours"]["evaluation_1"] == pytest.approx(plan["sum_hours"]["evaluation_1"] / 10)


def test_the_plan_loads_nothing_heavy(tmp_path: Path) -> None:
    folder = str(tmp_path)
    code = (
        "import sys; from ppbench.cli.main import app\n"
        f"sys.argv = ['ppbench', 'reproduce', '--dry-run', '--work', {folder!r}, '--table', 'imagenet-resnet50']\n"
        "try: app()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "assert not {'torch', 'lightning', 'numba'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


@pytest.mark.parametrize("form", ["rich", "json", "csv", "markdown", "latex"])
def test_rows_are_listed_in_every_format(form: str) -> None:
    result = runner.invoke(app, ["reproduce", "--table", "imagenet-resnet50", "--list", "--format", form])
    assert result.exit_code == 0, result.output
    assert "augmix+pp3" in result.stdout
    assert "10.97" in result.stdout
