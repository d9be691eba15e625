"""The command line as a whole: start-up, exit codes, one clear line for every mistake."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import ppbench
from ppbench.cli.main import app, main
from tests.builders import make_run
from tests.evaluation.models import tiny_checkpoint
from tests.trees import write_class_folders, write_published

runner = CliRunner()

HEAVY = {"torch", "torchvision", "lightning", "pandas", "imagecorruptions", "cv2", "skimage", "scipy", "numba"}


def heavy_modules_after(code: str) -> str:
    """What of `HEAVY` is loaded after ``code``, in a fresh interpreter."""
    tail = f"\nimport sys; print(sorted({HEAVY!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code + tail], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


def test_importing_the_package_asking_for_help_and_showing_a_run_load_nothing_heavy(tmp_path: Path) -> None:
    from ppbench.run import write_run

    write_run(tmp_path / "run.json", make_run())
    code = "import ppbench; ppbench.load_run\nfrom typer.testing import CliRunner\nfrom ppbench.cli.main import app\n"
    for call in (["--help"], ["show", str(tmp_path / "run.json")]):
        code += f"assert CliRunner().invoke(app, {call}).exit_code == 0\n"
    # Errors too are there without torch.
    code += "ppbench.PpbenchError, ppbench.UsageError, ppbench.DataError, ppbench.NotComparableError"
    assert heavy_modules_after(code) == "[]"


def test_public_names_resolve() -> None:
    for name in ppbench.__all__:
        assert getattr(ppbench, name) is not None
    assert set(ppbench.__all__) <= set(dir(ppbench))
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        ppbench.nonsense  # noqa: B018


@pytest.mark.parametrize("command", [[], ["eval"], ["corrupt"], ["show"], ["train"], ["inspect"], ["list"], ["doctor"]])
def test_every_command_has_help(command: list[str]) -> None:
    result = runner.invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "--help" in result.output


def test_version() -> None:
    assert runner.invoke(app, ["--version"]).output.strip() == ppbench.__version__


def failing(arguments: list[str], code: int) -> str:
    """Run ``ppbench`` with a mistake: the exit code is as documented, stdout is empty, stderr has no traceback."""
    result = runner.invoke(app, arguments)
    assert result.exit_code == code, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message", "mend"),
    [
        (["eval", "--model", "resnet5O"], 2, "unknown model 'resnet5O'", "or 'resnet50'"),
        (["eval", "--dataset", "imagenet_c"], 2, "unknown dataset 'imagenet_c'", "did you mean 'imagenet-c'"),
        (["eval", "-c", "gaussian_nose"], 2, "unknown corruption 'gaussian_nose'", "did you mean 'gaussian_noise'"),
        (["eval", "net.onnx"], 2, "unexpected extra argument(s) (net.onnx)", "--model NAME|FILE"),
        (["eval", "-s", "0"], 2, "severity '0' is not allowed", "1 to 5"),
        (["eval", "-s", "6"], 2, "severity '6' is not allowed", "1 to 5"),
        (["eval", "-c", ","], 2, "--corruptions has no value", "c15"),
        (["eval", "--dataset", "fashion-mnist-2k", "--data", "."], 2, "takes no --data", "--dataset imagefolder"),
        (["eval", "-o", "out.txt"], 2, "--output out.txt is neither a .json file nor a folder", "run.json"),
        (["eval", "-s", "2-9"], 2, "severity '2-9' is not allowed", "1 to 5"),
        (["eval", "--limit", "0"], 2, "--limit 0 is not allowed", "at least 1"),
        (["eval", "--limit", "many"], 2, "Invalid value for '--limit'", "valid integer"),
        (["eval", "--recipe", "cifar"], 2, "unknown recipe 'cifar'", "ppbench list recipes"),
        (["eval", "--device", "cuda:7"], 2, "--device cuda:7 cannot be used here", "ppbench doctor"),
        (["eval", "--format", "xml"], 2, "xml", "latex"),
        (["eval", "--dataset", "fashion-mnist"], 3, "--dataset fashion-mnist needs its images", "apt-get install"),
        (["eval", "--baseline", "/nowhere/run.json"], 3, "cannot read the run /nowhere/run.json", "ppbench eval"),
        (["eval", "--model", "/nowhere/net.pth"], 3, "cannot read the checkpoint /nowhere/net.pth", "existing file"),
        (["show", "/nowhere/run.json"], 3, "cannot read the run /nowhere/run.json", "ppbench eval"),
        (["list", "cheese"], 2, "cheese", "models"),
        (["train", "--model", "resnet9", "--data", "."], 2, "unknown model 'resnet9'", "did you mean"),
        (["train", "--model", "resnet8", "--data", "/nowhere"], 3, "no Fashion-MNIST in /nowhere", "download=True"),
        (["train", "--model", "resnet8", "--data", ".", "--seed", "9999999999"], 2, "--seed 9999999999", "less than"),
        (["train", "--model", "resnet8", "--data", ".", "--inhibition", "nan"], 2, "--inhibition nan", "finite"),
        (["train", "--model", "resnet8", "--data", ".", "--epochs", "0"], 2, "--epochs 0 is not allowed", "greater"),
        (["train", "--model", "resnet8", "--data", ".", "--dataset", "mnist"], 2, "dataset 'mnist'", "fashion-mnist"),
    ],
)
def test_a_mistake_is_answered_with_the_value_the_mend_and_the_exit_code(
    arguments: list[str], code: int, message: str, mend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    stderr = " ".join(failing(arguments, code).split())
    assert message in stderr
    assert mend in stderr
    assert not list(tmp_path.rglob("*.json"))
    assert not list(tmp_path.rglob("*.safetensors"))


def test_an_internal_error_is_not_taken_for_a_regression(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise ValueError("not foreseen")

    monkeypatch.setattr("ppbench.check.judge.check_files", broken)
    monkeypatch.setattr(sys, "argv", ["ppbench", "check", "run.json", "--baseline", "base.json"])
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.json").write_text("{}")
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 70
    told = capsys.readouterr()
    assert "ValueError: not foreseen" in told.err
    assert told.err.endswith("error: internal error in ppbench; please report it with the traceback above\n")
    monkeypatch.undo()
    monkeypatch.setattr(sys, "argv", ["ppbench", "check", "/nowhere/run.json", "--baseline", "base.json"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 3


def test_too_little_memory_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object, **options: object) -> None:
        raise MemoryError("Unable to allocate 2 EiB")

    monkeypatch.setattr("ppbench.check.judge.check_files", full)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.json").write_text("{}")
    assert "too little memory for it: Unable to allocate 2 EiB" in failing(
        ["check", "run.json", "--baseline", "base.json"], 70
    ).replace("\n", " ")


def test_the_networks_of_the_literature_explain_in_three_lines_what_is_missing() -> None:
    lines = failing(["eval", "--model", "resnet50-pp", "--dataset", "imagenet-c"], 3).strip().splitlines()
    assert len(lines) == 3
    assert "resnet50-pp is a network without weights; --dataset imagenet-c needs its images" in lines[0]
    assert "weights: none are published; `git clone https://github.com/bgswaroop/pushpull-conv" in lines[1]
    assert "wget https://zenodo.org/records/2235448/files/" in lines[2]


def test_bad_files_are_named(tmp_path: Path) -> None:
    html = tmp_path / "resnet50.pth"
    html.write_text("<!DOCTYPE html><html>Not found</html>")
    assert "begins like a web page" in failing(["eval", "--model", str(html)], 3)
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(net.read_bytes()[:5000])
    assert "damaged safetensors file" in failing(["eval", "--model", str(damaged)], 3)
    assert "net has 2 outputs, but fashion-mnist-2k has 10 classes" in failing(["eval", "--model", str(net)], 3)


def folder_call(net: Path, folder: Path, output: Path, dataset: str = "imagefolder") -> list[str]:
    few = ["-c", "fog", "-s", "1", "--workers", "0"]
    return ["eval", "--model", str(net), "--dataset", dataset, "--data", str(folder), "-o", str(output), *few]


def test_bad_folders_are_named_and_nothing_is_written(tmp_path: Path) -> None:
    net = tiny_checkpoint(tmp_path / "net.safetensors", size=32, channels=3, classes=2)
    output = tmp_path / "run.json"
    (tmp_path / "empty").mkdir()
    assert "no images in" in failing(folder_call(net, tmp_path / "empty", output), 3)
    assert "cannot read" in failing(folder_call(net, tmp_path / "missing", output), 3)
    folder = write_class_folders(tmp_path / "photos", size=32)
    broken = folder / "n00000001" / "img001.png"
    broken.write_bytes(broken.read_bytes()[:300])
    told = CliRunner().invoke(app, folder_call(net, folder, output))  # the tables are of the others
    assert told.exit_code == 3
    assert f"cannot read the image {broken}" in told.stderr
    assert "5 of 6 images, 1 could not be read ·" in " ".join(told.stdout.split())
    output.unlink()
    tree = write_published(tmp_path / "c", ("snow",), (1,))
    assert "the cell fog/1 is missing" in failing(folder_call(net, tree, output, "imagenet-c"), 3)
    assert not output.exists()
    assert not list(tmp_path.glob(".run.json*"))


def test_an_output_that_cannot_be_written_is_told_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    stderr = failing(["eval", "-o", str(tmp_path / "file" / "runs")], 3)
    assert "cannot write" in stderr
    assert "one file for 2 models" in failing(["eval", "-o", str(tmp_path / "run.json")], 2)


def test_errors_are_those_of_ppbench() -> None:
    assert issubclass(ppbench.NotComparableError, ppbench.PpbenchError)
