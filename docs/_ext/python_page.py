"""The reference of the Python names, from their docstrings and types."""

from __future__ import annotations

import inspect
from importlib import import_module

RETURNED = ("ppbench.run.Run",)
"""Classes that public functions return, and that have members of use to a caller."""

MODULES = {
    "ppbench.run": ("read_run", "read_bits", "read_predictions", "Predictions"),
    "ppbench.metrics.by_class": (
        "class_errors",
        "worst_classes",
        "ClassError",
        "added_confusions",
        "AddedConfusion",
        "mean_of_few",
    ),
    "ppbench.metrics.flips": ("first_flips", "flip_shares", "FlipShares"),
}
"""Public names of other modules: those that the pages and the notebook use."""


def entry(path: str) -> str:
    """The directive for one name; classes of ppbench come with their public members."""
    module, _, name = path.rpartition(".")
    value = getattr(import_module(module), name)
    if inspect.isclass(value):
        shown = "\n   :members:\n   :exclude-members: model_config, extra_repr"
        members = "" if issubclass(value, Exception) else shown
        return f".. autoclass:: {path}{members}\n   :show-inheritance:\n"
    kind = "autofunction" if callable(value) else "autodata"
    options = "\n   :no-value:" if kind == "autodata" else ""
    return f".. {kind}:: {path}{options}\n"


def block(paths: list[str]) -> str:
    """Directives in reStructuredText, inside Markdown."""
    return "```{eval-rst}\n" + "\n".join(map(entry, paths)) + "```"


def python_page() -> str:
    """The public names of `ppbench`, what they return, and those of `ppbench.metrics`."""
    import ppbench
    from ppbench import metrics

    names = [f"ppbench.{name}" for name in ppbench.__all__ if name not in ("metrics", "__version__")]
    measures = [f"ppbench.metrics.{name}" for name in metrics.__all__]
    sections = {"ppbench": names, "What they return": list(RETURNED), "ppbench.metrics": measures}
    sections |= {module: [f"{module}.{name}" for name in names] for module, names in MODULES.items()}
    return "\n\n".join(f"## {heading}\n\n{block(paths)}" for heading, paths in sections.items())
