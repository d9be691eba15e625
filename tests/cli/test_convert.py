"""``ppbench convert`` as a user runs it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from typer.testing import CliRunner, Result

from ppbench.cli.main import app
from ppbench.models.card_options import CardOptions
from ppbench.models.checkpoint import load_checkpoint, save_checkpoint
from ppbench.models.embedded import embedded_path
from ppbench.models.from_torchvision import load_torchvision
from ppbench.models.resnet import create_model
from ppbench.models.weights import weights_hash
from tests.models.test_convert import card_of, trained
from tests.train.trees import write_image_folders
from tests.trees import write_class_folders, write_fashion_mnist

pytestmark = pytest.mark.usefixtures("_small_forwards")

runner = CliRunner()

PLAIN = "fashion-mnist-resnet8"


def run(*arguments: object) -> Result:
    return runner.invoke(app, ["convert", *map(str, arguments), "--device", "cpu"])


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "made.safetensors"


def test_the_embedded_network_gets_push_pull_and_statistics_and_is_evaluated(tmp_path: Path, target: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data", 200, 40)
    call = ("--model", PLAIN, "--dataset", "fashion-mnist", "--data", data, "--images", 140, "--seed", 3)
    result = run(*call, "--output", target)
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{target}: resnet8-pp3\n"
    assert "batch-norm statistics estimated from 128 images" in result.stderr  # two whole batches of 64
    plain, made = load_checkpoint(embedded_path(PLAIN)), load_checkpoint(target)
    assert torch.equal(made.model.conv1.weight, plain.model.conv1.weight)
    assert not torch.equal(made.model.bn1.running_mean, plain.model.bn1.running_mean)
    origin = made.card.origin
    assert origin["weights"] == weights_hash(plain.model)
    assert (origin["name"], origin["architecture"]) == (PLAIN, "resnet8")
    assert origin["statistics"] == {"dataset": "fashion-mnist", "images": 128, "seed": 3}
    again = tmp_path / "again.safetensors"
    assert run(*call, "--output", again).exit_code == 0
    assert weights_hash(load_checkpoint(again).model) == weights_hash(made.model)
    few = ["-c", "fog", "-s", "1", "--limit", "20", "--workers", "0", "--force", "-o", str(tmp_path / "run.json")]
    measured = runner.invoke(app, ["eval", "-m", str(target), *few])
    assert measured.exit_code == 0, measured.output


def test_what_accuracy_is_left_is_said_and_what_brings_it_back(tmp_path: Path, target: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data", 200, 40)
    call = ("--model", PLAIN, "--dataset", "fashion-mnist", "--data", data, "--images", 192)
    result = run(*call, "--output", target)
    assert result.exit_code == 0, result.output
    said = " ".join(result.stderr.split())
    found = re.search(r"accuracy on 192 training images: (\d+\.\d) -> (\d+\.\d) %", said)
    assert found, said
    before, after = map(float, found.groups())
    assert before > 85
    assert after < before - 10
    (command,) = re.findall(r"fine-tuning recovers it: `ppbench (.*)`", said)
    tuned = runner.invoke(app, [*shlex.split(command), "--epochs", "1", "--fraction", "0.2", "--device", "cpu"])
    assert tuned.exit_code == 0, tuned.output
    assert target.with_name("made-tuned.safetensors").is_file()
    kept = run(*call, "--inhibition", 0, "--keep-statistics", "--output", tmp_path / "same.safetensors")
    assert f"accuracy on 192 training images: {before:.1f} -> {before:.1f} %" in kept.stderr
    assert "fine-tuning" not in kept.stderr


def test_what_is_not_known_of_the_accuracy_is_said(tmp_path: Path, target: Path) -> None:
    result = run("--model", PLAIN, "--keep-statistics", "--output", target)
    assert "the accuracy after the conversion is not known: no images were given" in result.stderr
    assert "--data DIR --recipe finetune" in " ".join(result.stderr.split())
    folder = write_class_folders(tmp_path / "images", classes=2, per_class=3, size=40)
    card = card_of("torchvision:mobilenet_v3_small", input_size=32, resize=36)
    save_checkpoint(tmp_path / "net.safetensors", trained(torchvision.models.mobilenet_v3_small(num_classes=5)), card)
    result = run("--model", tmp_path / "net.safetensors", "--data", folder, "--output", tmp_path / "other.safetensors")
    assert "the images have 2 classes, but the network has 5" in " ".join(result.stderr.split())
    assert "train it further in your own code" in " ".join(result.stderr.split())


def test_at_inhibition_0_with_the_statistics_kept_a_torchvision_network_gives_what_it_gave(
    tmp_path: Path, target: Path
) -> None:
    torch.manual_seed(0)
    torch.save(trained(torchvision.models.mobilenet_v3_small()).state_dict(), tmp_path / "net.pth")
    spec = f"torchvision:mobilenet_v3_small@{tmp_path / 'net.pth'}"
    result = run("--model", spec, "--inhibition", 0, "--keep-statistics", "--output", target)
    assert result.exit_code == 0, result.output
    plain = load_torchvision(spec.partition(":")[2], CardOptions())[1]
    made = load_checkpoint(target)
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(made.model(x), plain.model(x), rtol=0, atol=1e-5)
    wanted = ("torchvision:mobilenet_v3_small", "pp3", "kept")
    assert (made.card.architecture, made.card.stem, made.card.origin["statistics"]) == wanted
    assert (made.card.mean, made.card.resize) == (plain.card.mean, plain.card.resize)


def test_a_network_of_timm_without_batch_norm_needs_no_images_and_is_evaluated(tmp_path: Path, target: Path) -> None:
    torch.manual_seed(0)
    torch.save(timm.create_model("convnext_atto", num_classes=2).state_dict(), tmp_path / "net.pth")
    spec = f"timm:convnext_atto@{tmp_path / 'net.pth'}"
    result = run("--model", spec, "--preset", "imagenet", "--input-size", 32, "--push-pull", 5, "--output", target)
    assert result.exit_code == 0, result.output
    assert "has no batch norm: no statistics to estimate" in result.stderr
    assert result.stdout.strip().endswith("with pp5")
    card = load_checkpoint(target).card
    assert (card.stem, card.origin["statistics"]) == ("pp5", "none")
    data = write_class_folders(tmp_path / "images", classes=2, per_class=3, size=40)
    few = ["--dataset", "imagefolder", "--data", str(data), "-c", "fog", "-s", "1", "--workers", "0", "--force"]
    measured = runner.invoke(app, ["eval", "-m", str(target), *few, "-o", str(tmp_path / "run.json")])
    assert measured.exit_code == 0, measured.output


def test_images_in_folders_are_cut_as_the_card_says(tmp_path: Path, target: Path) -> None:
    save_checkpoint(tmp_path / "net.safetensors", trained(torchvision.models.mobilenet_v3_small(num_classes=5)),
                    card_of("torchvision:mobilenet_v3_small", input_size=32, resize=36))  # fmt: skip
    write_class_folders(tmp_path / "images" / "train", classes=2, per_class=3, size=40)
    next((tmp_path / "images" / "train").iterdir()).joinpath("a.jxl").write_bytes(b"x")
    call = ("--model", tmp_path / "net.safetensors", "--data", tmp_path / "images", "--output", target)
    result = run(*call)
    assert result.exit_code == 0, result.output
    assert "batch-norm statistics estimated from 6 images" in result.stderr
    assert "1 .jxl" in result.stderr
    assert load_checkpoint(target).card.stem == "pp3"
    (tmp_path / "images" / "train").rename(tmp_path / "images" / "class")
    (broken := next((tmp_path / "images").rglob("*.png"))).write_bytes(b"no image")
    result = run(*call, "--overwrite")
    assert result.exit_code == 3
    assert broken.name in result.stderr


def test_fine_tuning_starts_from_the_converted_network(tmp_path: Path, target: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data", 200, 40)
    call = ("--model", PLAIN, "--dataset", "fashion-mnist", "--data", data, "--images", 128, "--output", target)
    result = run(*call, "--recipe", "finetune", "--epochs", 1)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{target}: ")
    assert "of the clean test images right" in result.stdout
    plain, made = load_checkpoint(embedded_path(PLAIN)), load_checkpoint(target)
    distance = torch.dist(made.model.conv1.weight, plain.model.conv1.weight) / plain.model.conv1.weight.norm()
    assert 0 < distance < 0.2
    assert not made.model.conv1.rectified_push
    assert made.card.origin["name"] == PLAIN
    assert made.card.recipe["name"] == "finetune"
    again = run(*call, "--recipe", "finetune", "--epochs", 1)
    assert again.exit_code == 0, again.output
    assert "already finished: " in again.stderr
    assert "epoch 1/1" not in again.stderr
    other = run(*call, "--recipe", "finetune", "--epochs", 2)
    assert other.exit_code == 2
    assert "exists and was trained with another recipe (epochs)" in other.stderr
    plain_statistics = run(*call)
    assert plain_statistics.exit_code == 2
    assert "exists and was made in another way (recipe)" in plain_statistics.stderr


def test_fine_tuning_keeps_the_size_of_the_images(tmp_path: Path, target: Path) -> None:
    save_checkpoint(tmp_path / "net.safetensors", trained(create_model("resnet8", 3)),
                    card_of("resnet8", num_classes=3, input_size=32, resize=36))  # fmt: skip
    data = write_image_folders(tmp_path / "data", train=4, val=1)
    call = ("--model", tmp_path / "net.safetensors", "--data", data, "--output", target)
    result = run(*call, "--recipe", "finetune", "--epochs", 1)
    assert result.exit_code == 0, result.output
    card = load_checkpoint(target).card
    assert (card.input_size, card.resize, card.recipe["resize"]) == (32, 36, 37)
    assert "the network now takes images of" not in result.stderr


def test_a_fine_tuning_that_fails_leaves_no_half_made_network(tmp_path: Path, target: Path) -> None:
    data = write_fashion_mnist(tmp_path / "data", 200, 40)
    call = ("--model", PLAIN, "--dataset", "fashion-mnist", "--data", data, "--images", 128, "--output", target)
    result = run(*call, "--recipe", "finetune", "--lr", "1e9")
    assert result.exit_code == 1, result.output
    assert "the loss is not a finite number" in result.stderr
    assert not target.exists()


def test_a_network_that_is_there_is_taken_or_not_overwritten(tmp_path: Path, target: Path) -> None:
    call = ("--model", PLAIN, "--keep-statistics", "--output", target)
    first = run(*call)
    content = target.read_bytes()
    again = run(*call)
    assert (first.exit_code, again.exit_code) == (0, 0), again.output
    assert again.stdout == first.stdout
    assert "already finished: " in again.stderr
    other = run(*call, "--inhibition", 2)
    assert other.exit_code == 2
    assert "exists and was made in another way (inhibition)" in other.stderr
    assert "`--overwrite`" in other.stderr
    assert target.read_bytes() == content
    assert run(*call, "--inhibition", 2, "--overwrite").exit_code == 0
    assert load_checkpoint(target).card.inhibition == 2
    target.write_text("precious")
    refused = run(*call)
    assert refused.exit_code == 2
    assert "exists and is not a checkpoint with a card" in refused.stderr
    assert target.read_text() == "precious"


@pytest.mark.parametrize("spec", ["{}", "torchvision:resnet8@{}"])
def test_the_plain_network_is_never_overwritten(tmp_path: Path, spec: str) -> None:
    plain = tmp_path / "net.safetensors"
    plain.write_bytes(embedded_path(PLAIN).read_bytes())
    result = run("--model", spec.format(plain), "--keep-statistics", "--overwrite", "--output", plain)
    assert result.exit_code == 2
    assert "is the network to convert" in result.stderr
    assert plain.read_bytes() == embedded_path(PLAIN).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--model", PLAIN), 2, "Estimate new ones from training images: `--data DIR --images 2000`"),
        (("--model", f"{PLAIN}-pp3", "--keep-statistics"), 2, "already has a push-pull convolution"),
        (("--model", PLAIN, "--push-pull", 4, "--keep-statistics"), 2, "--push-pull 4 is not allowed"),
        (("--model", PLAIN, "--inhibition", -1, "--keep-statistics"), 2, "--inhibition -1 is not allowed"),
        (("--model", PLAIN, "--recipe", "finetune"), 2, "--recipe finetune needs images to train on"),
        (("--model", PLAIN, "--recipe", "finetun", "--data", "."), 2, "did you mean 'finetune'"),
        (("--model", "resnet50"), 3, "is a network without weights"),
        (("--model", PLAIN, "--data", ".", "--dataset", "mnist"), 2, "unknown training dataset 'mnist'"),
        (("--model", PLAIN, "--data", ".", "--images", "1"), 2, "--images 1 is not allowed"),
        (("--model", PLAIN, "--data", "."), 3, "the network takes grey ones"),
    ],
)
def test_refusals_leave_no_file(
    arguments: tuple[object, ...],
    code: int,
    message: str,
    target: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    write_class_folders(tmp_path / "images")
    result = run(*arguments, "--output", target)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not target.exists()


def test_the_file_is_called_after_the_model_and_listed_models_have_the_rivals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("--model", PLAIN, "--keep-statistics", "--push-pull", 0).exit_code == 0
    assert load_checkpoint(f"{PLAIN}-pp0.safetensors").card.architecture == "resnet8-pp0"
    names = runner.invoke(app, ["list", "models", "--names"]).stdout.split()
    assert {"resnet8-blurpool", "resnet50-blurafter", "resnet18-cifar-pp2020"} <= set(names)


def test_a_rivals_checkpoint_is_evaluated_as_it_is(tmp_path: Path) -> None:
    from ppbench.models.resnet import create_model

    torch.manual_seed(0)
    path = tmp_path / "net.safetensors"
    card = card_of("resnet8-blurpool", num_classes=10, in_channels=1, input_size=28, mean=(0.3,), std=(0.3,))
    save_checkpoint(path, create_model("resnet8-blurpool", 10, in_channels=1), card)
    few = ["-c", "fog", "-s", "1", "--limit", "20", "--workers", "0", "--force", "-o", str(tmp_path / "run.json")]
    measured = runner.invoke(app, ["eval", "-m", str(path), *few])
    assert measured.exit_code == 0, measured.output
