"""The shape of the house, read from the source: one name for one thing, short functions and files, no circles, tests.

The lists of exceptions in ``tests/house`` may only shrink: an entry that no longer applies fails until it is taken out.
"""

from __future__ import annotations

import ast
import gc
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent
FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted((ROOT / "ppbench").rglob("*.py"))}
LINES = {name: path.read_text().count("\n") for name, path in FILES.items()}


@cache
def trees() -> dict[str, ast.Module]:
    """What the files say, parsed by the process that asks and not by all that collect tests."""
    gc.disable()  # nothing here is garbage, and looking for some among a million nodes takes longer than parsing
    try:
        return {name: ast.parse(path.read_text()) for name, path in FILES.items()}
    finally:
        gc.enable()


LONGEST_BODY = 45
LONGEST_FILE = 350
SMALL_MODULE = 60


def entries(name: str) -> set[str]:
    """Exceptions of today, by the name of their file.

    Take out a line and leave the empty lines beside it: then two changes that take out neighbours do not conflict.
    """
    return set((TESTS / "house" / f"{name}.txt").read_text().split())


TWICE = entries("names_twice")
"""Public names that more than one module defines."""

LONG_BODIES = entries("long_bodies")

LONG_FILES = entries("long_files")

MISSING = entries("without_tests")
"""Modules of more than 60 lines whose tests have no file of their own name, and no entry in `COVERED_BY`."""

COVERED_BY = {
    "ppbench/evaluation/trials.py": "tests/evaluation/test_passes.py",
    "ppbench/__init__.py": "tests/cli/test_main.py",
    "ppbench/cli/export.py": "tests/models/test_export.py",
    "ppbench/cli/inputs.py": "tests/cli/test_eval.py",
    "ppbench/cli/joined.py": "tests/evaluation/test_processes.py",
    "ppbench/copies/estimate.py": "tests/cli/test_corrupt.py",
    "ppbench/copies/trusted.py": "tests/copies/test_records.py",
    "ppbench/copies/writing.py": "tests/copies/test_sequences.py",
    "ppbench/corruptions/axes.py": "tests/corruptions/test_blur.py",
    "ppbench/corruptions/backends.py": "tests/data/test_generated.py",
    "ppbench/corruptions/fused/__init__.py": "tests/corruptions/fused/test_seam.py",
    "ppbench/corruptions/fused/blur_graphs.py": "tests/corruptions/fused/test_graphs.py",
    "ppbench/corruptions/fused/colour_graphs.py": "tests/corruptions/fused/test_graphs.py",
    "ppbench/corruptions/fused/digital_graphs.py": "tests/corruptions/fused/test_graphs.py",
    "ppbench/corruptions/fused/weather_graphs.py": "tests/corruptions/fused/test_graphs.py",
    "ppbench/corruptions/dispatch.py": "tests/corruptions/fused/test_seam.py",
    "ppbench/corruptions/uploads.py": "tests/corruptions/test_devices.py",
    "ppbench/corruptions/taps.py": "tests/corruptions/test_filters.py",
    "ppbench/corruptions/kernels/bar_cutout.py": "tests/corruptions/bar/test_cutout.py",
    "ppbench/corruptions/kernels/bar_fields.py": "tests/corruptions/bar/test_fields.py",
    "ppbench/corruptions/kernels/bar_fourier.py": "tests/corruptions/bar/test_fields.py",
    "ppbench/corruptions/kernels/bar_maths.py": "tests/corruptions/bar/test_waves.py",
    "ppbench/corruptions/kernels/bar_noise.py": "tests/corruptions/bar/test_fields.py",
    "ppbench/corruptions/kernels/bar_optics.py": "tests/corruptions/bar/test_optics.py",
    "ppbench/corruptions/kernels/bar_rows.py": "tests/corruptions/bar/test_waves.py",
    "ppbench/corruptions/kernels/bar_splines.py": "tests/corruptions/bar/test_turning.py",
    "ppbench/corruptions/kernels/bar_stars.py": "tests/corruptions/bar/test_stars.py",
    "ppbench/corruptions/kernels/blur.py": "tests/corruptions/test_blur.py",
    "ppbench/corruptions/kernels/colour.py": "tests/corruptions/test_colour.py",
    "ppbench/corruptions/kernels/digital.py": "tests/corruptions/test_digital.py",
    "ppbench/corruptions/kernels/filters.py": "tests/corruptions/test_filters.py",
    "ppbench/corruptions/kernels/jpeg.py": "tests/corruptions/test_jpeg.py",
    "ppbench/corruptions/kernels/noise.py": "tests/corruptions/test_noise.py",
    "ppbench/corruptions/kernels/random.py": "tests/corruptions/test_random.py",
    "ppbench/corruptions/kernels/spatter.py": "tests/corruptions/test_spatter.py",
    "ppbench/corruptions/kernels/weather.py": "tests/corruptions/test_weather.py",
    "ppbench/corruptions/recipes.py": "tests/corruptions/bar/test_draws.py",
    "ppbench/evaluation/run_files.py": "tests/cli/test_eval.py",
    "ppbench/evaluation/estimate.py": "tests/cli/test_eval.py",
    "ppbench/evaluation/gpu.py": "tests/evaluation/test_lanes.py",
    "ppbench/evaluation/transport.py": "tests/evaluation/test_lanes.py",
    "ppbench/evaluation/work.py": "tests/evaluation/test_loop.py",
    "ppbench/data/from_python.py": "tests/data/test_own_images.py",
    "ppbench/data/parquet_columns.py": "tests/data/test_parquet.py",
    "ppbench/data/splits.py": "tests/data/test_shards.py",
    "ppbench/data/uncut.py": "tests/data/test_own_images.py",
    "ppbench/evaluation/journal_lines.py": "tests/evaluation/test_journal.py",
    "ppbench/evaluation/zero_shot_classes.py": "tests/models/test_from_clip.py",
    "ppbench/figures/paper_plots.py": "tests/figures/test_paper.py",
    "ppbench/figures/paper_tables.py": "tests/figures/test_paper.py",
    "ppbench/models/first_convolution.py": "tests/models/test_stems.py",
    "ppbench/models/hf_towers.py": "tests/models/test_from_hf.py",
    "ppbench/models/image_processor.py": "tests/models/test_from_hf.py",
    "ppbench/models/own_state.py": "tests/models/test_weights.py",
    "ppbench/models/statedict.py": "tests/models/test_checkpoint.py",
    "ppbench/models/zero_shot.py": "tests/models/test_from_clip.py",
    "ppbench/models/trial.py": "tests/models/test_from_code.py",
    "ppbench/own_code.py": "tests/models/test_from_code.py",
    "ppbench/hub.py": "tests/models/test_repository.py",
    "ppbench/page/pictures.py": "tests/pictures/test_strip.py",
    "ppbench/pickled.py": "tests/models/test_unpickle.py",
    "ppbench/pickles.py": "tests/models/test_unpickle.py",
    "ppbench/pytest_plugin.py": "tests/check/test_plugin.py",
    "ppbench/report/side_by_side.py": "tests/report/test_report.py",
    "ppbench/run/trial_counts.py": "tests/run/test_trials.py",
    "ppbench/reproduce/measuring.py": "tests/cli/test_reproduce.py",
    "ppbench/reproduce/api.py": "tests/cli/test_reproduce.py",
    "ppbench/reproduce/plan.py": "tests/cli/test_reproduce.py",
    "ppbench/reproduce/request.py": "tests/cli/test_reproduce.py",
    "ppbench/reproduce/training.py": "tests/cli/test_reproduce.py",
    "ppbench/run/__init__.py": "tests/run/test_store.py",
    "ppbench/run/content.py": "tests/run/test_store.py",
    "ppbench/train/augmix.py": "tests/train/test_augment.py",
    "ppbench/train/conversion.py": "tests/cli/test_convert.py",
    "ppbench/train/logs.py": "tests/train/test_fit.py",
    "ppbench/train/plan.py": "tests/train/test_fit.py",
    "ppbench/train/prime/colour.py": "tests/train/test_prime.py",
    "ppbench/train/prime/mixture.py": "tests/train/test_prime.py",
    "ppbench/train/prime/spatial.py": "tests/train/test_prime.py",
    "ppbench/train/processes.py": "tests/train/test_distributed.py",
    "ppbench/corruptions/sequences/recipes.py": "tests/corruptions/sequences/test_frames.py",
    "ppbench/corruptions/views.py": "tests/corruptions/sequences/test_frames.py",
    "ppbench/train/request.py": "tests/train/test_fit.py",
    "ppbench/train/start.py": "tests/train/test_fit.py",
    "ppbench/train/state.py": "tests/train/test_fit.py",
}
"""The file with the tests of a module that has none of its own name."""


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Top-level statements, with those below a top-level ``if`` or ``try``."""
    for node in body:
        yield node
        if isinstance(node, ast.If):
            yield from statements(node.body)
            yield from statements(node.orelse)
        elif isinstance(node, ast.Try):
            yield from statements(node.body)


def defined(tree: ast.Module) -> set[str]:
    """Public names that a module defines at its top level."""
    found: set[str] = set()
    for node in statements(tree.body):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
        elif type(node).__name__ == "TypeAlias":  # the ``type`` statement of Python 3.12
            found.add(node.name.id)  # type: ignore[attr-defined]
    return {name for name in found if not name.startswith("_")}


def are_twins(name: str, files: list[str]) -> bool:
    """Whether this is the function of a corruption, its kernel and its fused kernel, which have one name."""
    if not all(any(isinstance(n, ast.FunctionDef) and n.name == name for n in trees()[file].body) for file in files):
        return False
    folders = [str(Path(file).parent).removesuffix("/bar") for file in files]
    home = "ppbench/corruptions"
    return len(set(folders)) == len(folders) and set(folders) <= {home, f"{home}/kernels", f"{home}/fused"}


def defined_twice() -> dict[str, list[str]]:
    places = defaultdict(list)
    for file, tree in trees().items():
        for name in defined(tree):
            places[name].append(file)
    return {name: files for name, files in places.items() if len(files) > 1 and not are_twins(name, files)}


def test_no_public_name_is_defined_in_two_modules() -> None:
    twice = defined_twice()
    new = {name: files for name, files in twice.items() if name not in TWICE}
    assert not new, f"rename one, or make it private: {new}"
    assert not TWICE - set(twice), f"take out of tests/house/names_twice.txt: {TWICE - set(twice)}"


def long_bodies() -> dict[str, int]:
    """Lines of the functions' bodies without signature, decorators and docstring, by file and function."""
    found = {}
    for file, tree in trees().items():
        for node in ast.walk(tree):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
            if body and (lines := (body[-1].end_lineno or 0) - body[0].lineno + 1) > LONGEST_BODY:
                found[f"{file}:{node.name}"] = lines
    return found


def test_function_bodies_are_short() -> None:
    long = long_bodies()
    assert not set(long) - LONG_BODIES, f"longer than {LONGEST_BODY} lines: {long}"
    assert not LONG_BODIES - set(long), f"take out of tests/house/long_bodies.txt: {LONG_BODIES - set(long)}"


def test_files_are_short() -> None:
    long = {name: lines for name, lines in LINES.items() if lines > LONGEST_FILE}
    assert not set(long) - LONG_FILES, f"longer than {LONGEST_FILE} lines: {long}"
    assert not LONG_FILES - set(long), f"take out of tests/house/long_files.txt: {LONG_FILES - set(long)}"


def module_name(file: str) -> str:
    return file.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def imports_at_start() -> dict[str, set[str]]:
    """Modules that a module imports when it is imported, and for its types."""
    modules = {module_name(file) for file in FILES}
    graph = {}
    for file, tree in trees().items():
        found = set()
        for node in statements(tree.body):
            if isinstance(node, ast.Import):
                found.update(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                inner = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in modules else node.module for name in inner}
        graph[module_name(file)] = found & modules
    return graph


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Groups of modules that each reach all others of the group."""
    reach: dict[str, set[str]] = {}
    for start in graph:
        seen, ahead = set[str](), [start]
        while ahead:
            for name in graph[ahead.pop()] - seen:
                seen.add(name)
                ahead.append(name)
        reach[start] = seen
    groups = {frozenset(b for b in reach[a] if a in reach[b]) for a in graph}
    return sorted(sorted(group) for group in groups if group)


def test_modules_do_not_import_each_other_in_circles() -> None:
    assert not circles(imports_at_start())


def own_test(file: str) -> Path:
    """Where a module's tests are: ``ppbench/data/tar.py`` -> ``tests/data/test_tar.py``."""
    path = Path(file).relative_to("ppbench")
    return TESTS / path.with_name(f"test_{path.name}")


def test_modules_have_a_test_file_of_their_own_name() -> None:
    without = {file for file, lines in LINES.items() if lines > SMALL_MODULE and not own_test(file).exists()}
    new = without - set(COVERED_BY) - MISSING
    assert not new, f"no test file of their own name: {sorted(new)}"
    assert not MISSING - without, f"take out of tests/house/without_tests.txt: {sorted(MISSING - without)}"
    assert not set(COVERED_BY) - without, f"take out of COVERED_BY: {sorted(set(COVERED_BY) - without)}"


@pytest.mark.parametrize("test", sorted(set(COVERED_BY.values())))
def test_files_that_cover_others_exist(test: str) -> None:
    assert (ROOT / test).is_file()
