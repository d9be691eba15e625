"""``ppbench corrupt`` as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from ppbench.cli.main import app
from tests.cli.test_main import failing, heavy_modules_after
from tests.copies.trees import tree, write_photos
from tests.processes import interrupt, ppbench_process

runner = CliRunner()
FEW = ["--corruption", "contrast", "--severity", "2", "--severity", "4-5"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_photos(tmp_path / "photos")


def test_a_folder_becomes_a_folder_per_cell(photos: Path) -> None:
    (photos / "notes.txt").touch()
    (photos / "begun" / ".ppbench").mkdir(parents=True)
    result = runner.invoke(app, ["corrupt", "photos", *FEW])
    assert result.exit_code == 0, result.output
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["written", "18", "files,", *result.stdout.splitlines()[0].split()[3:]],
        ["recipe", "cifar-c"],
        ["to", "photos-c"],
    ]
    first, *_, last = result.stderr.splitlines()
    for part in (
        "6 images in photos (left out: 1 .txt, 1 folder of corrupted images) -> photos-c",
        "1 corruption, 3 cells",
        "recipe cifar-c (for images of 40 x 40; sizes from 40 x 36 to 40 x 40)",
        "seed 0 | format same | ppbench corruptions",
        "on cpu in one process",
    ):
        assert part in first
    assert "6 of 6 images, " in last
    assert "images/s, elapsed 0:00:0" in last
    again = runner.invoke(app, ["corrupt", "photos", *FEW, "--recipe", "cifar-c"])
    assert "kept    18 files" in again.stdout
    assert "recipe cifar-c |" in again.stderr


def test_without_options_all_75_cells(tmp_path: Path) -> None:
    photo = write_photos(tmp_path / "p", 1, size=32) / "a.png"
    result = runner.invoke(app, ["corrupt", str(photo), str(tmp_path / "c")])
    assert result.exit_code == 0, result.output
    files = tree(tmp_path / "c")
    assert len(files) == 76
    assert len(set(files.values())) == 76, "no two cells are alike"


def test_json_for_programs(photos: Path) -> None:
    (photos / "html.png").write_text("<html>")
    result = runner.invoke(app, ["corrupt", "photos", *FEW, "--json"])
    facts = json.loads(result.stdout)
    assert result.exit_code == 3
    assert (facts["written"], facts["images"], facts["dest"], facts["kept"]) == (18, 7, "photos-c", 0)
    assert [failed["source"] for failed in facts["failed"]] == ["html.png"]


@pytest.mark.parametrize("extra", [[], ["--format", "png", "--size", "32"], ["--workers", "3"]])
def test_a_dry_run_says_what_it_will_take_and_writes_nothing(photos: Path, extra: list[str]) -> None:
    call = ["corrupt", "photos", *FEW, *extra]
    result = runner.invoke(app, [*call, "--dry-run"])
    assert result.exit_code == 0, result.output
    assert not Path("photos-c").exists()
    shown = {line.split()[0]: line for line in result.stdout.splitlines()}
    assert shown["images"].split() == ["images", "6"]
    assert shown["files"].split() == ["files", "18"]
    assert "B" in shown["size"]
    assert "(h:mm:ss) " + ("with 3 workers" if "--workers" in extra else "in one process") in shown["time"]
    estimate = json.loads(runner.invoke(app, [*call, "--dry-run", "--json"]).stdout)
    assert (estimate["images"], estimate["missing"], estimate["files"]) == (6, 6, 18)
    done = json.loads(runner.invoke(app, ["corrupt", "photos", *FEW, *extra[:4], "--workers", "0", "--json"]).stdout)
    assert estimate["gigabytes"] * 1e9 == pytest.approx(done["bytes"], rel=0.5)
    after = json.loads(runner.invoke(app, [*call, "--dry-run", "--json"]).stdout)
    assert (after["missing"], after["files"], after["gigabytes"], after["minutes"]) == (0, 0, 0, 0)
    more = json.loads(runner.invoke(app, [*call, "-c", "brightness", "--dry-run", "--json"]).stdout)
    assert (more["missing"], more["files"]) == (6, 18)  # the new corruption alone


def test_a_dry_run_of_an_array(photos: Path) -> None:
    np.save("images.npy", np.zeros((50, 32, 32, 3), np.uint8))
    result = runner.invoke(app, ["corrupt", "images.npy", *FEW, "--dry-run", "--json"])
    estimate = json.loads(result.stdout)
    assert (estimate["images"], estimate["files"]) == (50, 3)
    assert estimate["gigabytes"] == pytest.approx(3 * 50 * 3072 / 1e9)
    assert {path.name for path in Path().iterdir()} == {"photos", "images.npy"}


def test_broken_images_are_listed_at_the_end_with_exit_code_3(photos: Path) -> None:
    (photos / "html\n.png").write_text("<html>")
    Image.new("RGBA", (20, 20)).save(photos / "alpha.png")
    Image.new("L", (4, 4)).save(photos / "tiny.png")
    Image.new("LAB", (20, 20)).save(photos / "[lab].tif")
    result = runner.invoke(app, ["corrupt", "photos", *FEW, "-c", "contrast,fog", "--format", "jpeg"])
    assert result.exit_code == 3
    assert "written 36 files" in result.stdout
    assert "failed  4 images" in result.stdout
    lines = result.stderr.splitlines()
    start = lines.index("error: 4 of 10 images could not be corrupted, or not in every cell")
    assert len(lines) == start + 5
    told = "\n".join(lines[start:])
    assert "  html\\n.png: it is not a supported image, but a web page. Replace or remove it." in told
    assert "  alpha.png: has an alpha channel, which JPEG cannot keep. Write PNG: `--format png`." in told
    assert "  tiny.png: images of 4 x 4 pixels. " in told
    assert "  [lab].tif: colour space LAB, neither grey nor RGB. " in told


def test_cells_that_cannot_be_made_are_named(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from ppbench.corruptions.backends import BACKENDS
    from ppbench.errors import UsageError

    def corrupt(images: np.ndarray, corruption: str, severity: int, *rest: object) -> np.ndarray:
        if corruption == "fog" and severity > 3:
            raise UsageError("too small for fog", "Leave it out.")
        return images

    monkeypatch.setitem(BACKENDS, "ppbench", replace(BACKENDS["ppbench"], maker=lambda: corrupt))
    result = runner.invoke(app, ["corrupt", "photos", *FEW, "-c", "contrast,fog"])
    assert result.exit_code == 3
    assert "  a.png (fog s4-5): too small for fog. Leave it out." in result.stderr
    assert "written 24 files" in result.stdout


def test_many_failures_are_cut_short(photos: Path) -> None:
    for number in range(30):
        (photos / f"{number:02}.png").write_text("x")
    lines = runner.invoke(app, ["corrupt", "photos", *FEW]).stderr.splitlines()
    assert lines[-1].strip() == f"and 10 more, in {Path('photos-c', 'manifest.json')}"


@pytest.mark.parametrize(
    ("arguments", "code", "message", "hint"),
    [
        (["nowhere"], 3, "there is no nowhere", "Give a folder of images"),
        (["photos", "photos"], 2, "photos cannot be read from and written to", "`photos-c`"),
        (["photos", "-c", "fogg"], 2, "unknown corruption 'fogg'", "did you mean 'fog'"),
        (["photos", "-c", "lens"], 2, "unknown corruption 'lens'", "pkg.mod:function"),
        (["photos", "-s", "0"], 2, "severity '0' is not allowed", "1 to 5"),
        (["photos", "-c", ","], 2, "--corruption has no value", "c15"),
        (["photos", "--recipe", "cifar"], 2, "unknown recipe 'cifar'", "ppbench list recipes"),
        (["photos", "--backend", "imgaug"], 2, "unknown backend 'imgaug'", "imagecorruptions"),
        (["photos", "--format", "gif"], 2, "--format gif is not allowed", "same, jpeg, png, npy"),
        (["photos", "--size", "4"], 2, "--size 4 is not allowed", "at least 8"),
        (["photos", "--workers", "-1"], 2, "--workers -1 is not allowed", "at least 0"),
        (["photos", "--device", "cuda:7"], 2, "--device cuda:7 cannot be used here", "ppbench doctor"),
        (["photos", "photos/a.png"], 3, "cannot write photos/a.png", "another folder"),
        (["images.npy", "--size", "32"], 2, "--size 32 is not for arrays", "leave --size out"),
        (["images.npy", "--format", "png"], 2, "--format png is not for arrays", "leave --format out"),
    ],
)
def test_mistakes(photos: Path, arguments: list[str], code: int, message: str, hint: str) -> None:
    np.save("images.npy", np.zeros((5, 32, 32, 3), np.uint8))
    before = tree(Path())
    stderr = " ".join(failing(["corrupt", *arguments], code).split())
    assert message in stderr
    assert hint in stderr
    assert tree(Path()) == before


def test_other_settings_are_answered_with_what_differs(photos: Path) -> None:
    assert runner.invoke(app, ["corrupt", "photos", *FEW]).exit_code == 0
    stderr = failing(["corrupt", "photos", *FEW, "--seed", "1"], 2)
    assert "photos-c was made with --seed 0, now it is --seed 1" in stderr
    assert "--overwrite" in stderr
    assert runner.invoke(app, ["corrupt", "photos", *FEW, "--seed", "1", "--overwrite"]).exit_code == 0


def test_mistakes_are_told_without_loading_torch(photos: Path) -> None:
    code = "from typer.testing import CliRunner\nfrom ppbench.cli.main import app\n"
    for call, expected in (
        (["corrupt", "--help"], 0),
        (["corrupt", "nowhere"], 3),
        (["corrupt", "photos", "-s", "9"], 2),
    ):
        code += f"assert CliRunner().invoke(app, {call}).exit_code == {expected}\n"
    assert heavy_modules_after(code) == "[]"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_a_signal_exits_130_and_the_same_command_goes_on(tmp_path: Path, number: int) -> None:
    photos = write_photos(tmp_path / "photos", 120, size=64)
    call = ["corrupt", str(photos), str(tmp_path / "c"), "-c", "noise,snow", "-s", "1-2", "--workers", "2"]
    with ppbench_process(*call, FORCE_COLOR="1", COLUMNS="200", TERM="xterm") as process:
        assert process.stderr is not None
        seen, deadline = b"", time.monotonic() + 120
        while len(list((tmp_path / "c" / "snow").rglob("*.png"))) < 5 and time.monotonic() < deadline:
            os.set_blocking(process.stderr.fileno(), False)
            seen += process.stderr.read() or b""
            time.sleep(0.02)
        os.set_blocking(process.stderr.fileno(), True)
        stdout, stderr = interrupt(process, number)
    assert process.returncode == 130, stderr
    assert stdout == b""
    assert b"Traceback" not in seen + stderr, stderr.decode()[-3000:]
    assert b"of 120 images done; run the same command again to resume" in stderr
    assert b"elapsed 0:00:0" in seen + stderr
    if number == signal.SIGTERM:
        return  # what follows is the same, and takes its time
    result = runner.invoke(app, [*call[:-1], "0", "--json"])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert facts["written"] + facts["kept"] == 120 * 8
    runner.invoke(app, ["corrupt", str(photos), str(tmp_path / "whole"), *call[3:-1], "0"])
    assert tree(tmp_path / "c") == tree(tmp_path / "whole")


def test_an_array_that_fails_counts_as_all_its_images(photos: Path) -> None:
    np.save("small.npy", np.zeros((5, 4, 4, 3), np.uint8))
    result = runner.invoke(app, ["corrupt", "small.npy", "-c", "contrast", "-s", "1"])
    assert result.exit_code == 3
    assert "5 of 5 images could not be corrupted" in result.stderr


def test_large_photographs_are_told_what_to_do(photos: Path) -> None:
    Path("large").mkdir()
    Image.new("RGB", (600, 500)).save("large/a.png")
    few = ["-c", "brightness", "-s", "1", "--device", "cpu"]
    told = runner.invoke(app, ["corrupt", "large", "c", *few]).stderr
    assert "the blur and noise of recipe imagenet-c hardly change images of 600 x 500: they are for 224 px" in told
    assert "`--size 224` cuts the images to that size, `--scale auto` makes the recipe's lengths 2.23 times" in told
    for dest, option in (("d", ["--size", "224"]), ("e", ["--scale", "auto"])):
        told = runner.invoke(app, ["corrupt", "large", dest, *few, *option]).stderr
        assert "hardly change" not in told
    assert "| scale auto |" in told


def test_copies_of_removed_images_are_told(photos: Path) -> None:
    first = runner.invoke(app, ["corrupt", "photos", *FEW])
    assert "gone" not in first.output
    (photos / "a.png").unlink()
    again = runner.invoke(app, ["corrupt", "photos", *FEW, "--json"])
    assert "3 files in photos-c are kept although their images are gone or can no longer be read" in again.stderr
    assert json.loads(again.stdout)["outdated"] == 3


def test_perturbations_become_sequences(photos: Path) -> None:
    call = ["corrupt", "photos", "-p", "translate,shot_noise", "--difficulty", "1-2", "--workers", "0"]
    estimate = json.loads(runner.invoke(app, [*call, "--dry-run", "--json"]).stdout)
    assert (estimate["images"], estimate["files"]) == (6, 6 * (31 + 31 + 16))
    result = runner.invoke(app, call)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].split()[:3] == ["written", "18", "sequences,"]
    assert "2 perturbations, 3 cells | recipe cifar-p (for images of 40 x 40; sizes from" in result.stderr
    assert "ppbench sequences" in result.stderr
    assert estimate["gigabytes"] * 1e9 == pytest.approx(json_of([*call, "--overwrite"])["bytes"], rel=0.5)
    (photos / "html.png").write_text("<html>")
    failed = runner.invoke(app, call)
    assert failed.exit_code == 3
    assert "kept    18 sequences" in failed.stdout
    np.save("images.npy", np.zeros((3, 16, 16, 3), np.uint8))
    array = ["corrupt", "images.npy", "out", "-p", "tilt", "--json"]
    assert json_of([*array, "--dry-run"])["gigabytes"] == pytest.approx(3 * 31 * 16 * 16 * 3 / 1e9)
    assert json_of(array)["bytes"] == 3 * 31 * 16 * 16 * 3 + 128
    assert [path.name for path in Path("out").glob("*.npy")] == ["tilt.npy"]


def json_of(call: list[str]) -> dict:
    return json.loads(runner.invoke(app, [*call, "--json"]).stdout)
