"""The field's names for corruptions: families, sets and severities.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. Kept free of imports so that both halves of ppbench share one vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.errors import UsageError
from ppbench.registry import unknown_name

CLEAN = "clean"
"""The name of the uncorrupted images, as a cell of severity 0."""

SEVERITIES = (1, 2, 3, 4, 5)

FAMILIES: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    "extra": ("speckle_noise", "gaussian_blur", "spatter", "saturate"),
}
"""Corruption names by family, in the order of the paper's tables; "extra" are its validation corruptions."""

FAMILY_OF = {name: family for family, names in FAMILIES.items() for name in names}

C15 = tuple(name for family in ("noise", "blur", "weather", "digital") for name in FAMILIES[family])
C4 = FAMILIES["extra"]
C19 = C15 + C4

SETS = {"c15": C15, "c4": C4, "c19": C19}


def expand_corruptions(values: Sequence[str]) -> tuple[str, ...]:
    """Turn names, families and sets into corruption names in the canonical order, each once.

    Args:
        values: Any of the 19 names, the families of `FAMILIES` and the sets of `SETS`.

    Raises:
        UsageError: For a name that is none of these.
    """
    wanted: set[str] = set()
    for value in values:
        name = value.strip().lower()
        if name in C19:
            wanted.add(name)
        elif name in FAMILIES or name in SETS:
            wanted.update(FAMILIES.get(name) or SETS[name])
        else:
            allowed = [*C19, *FAMILIES, *SETS]
            raise unknown_name("corruption", value, allowed, "ppbench list corruptions")
    return tuple(name for name in C19 if name in wanted)


def expand_severities(values: Sequence[str]) -> tuple[int, ...]:
    """Turn ``["1", "3-5"]`` into ``(1, 3, 4, 5)``: sorted, each once.

    Raises:
        UsageError: For anything but the integers 1 to 5 and ranges of them.
    """
    wanted: set[int] = set()
    for value in values:
        first, dash, last = value.strip().partition("-")
        ends = [int(part) for part in ((first, last) if dash else (first,)) if part.isdigit()]
        if len(ends) != 1 + bool(dash) or not 1 <= ends[0] <= ends[-1] <= 5:
            raise UsageError(
                f"severity {value!r} is not allowed",
                "Severities are 1 to 5: `--severities 3` or `--severities 1-5`.",
            )
        wanted.update(range(ends[0], ends[-1] + 1))
    return tuple(sorted(wanted))


def set_label(corruptions: Sequence[str]) -> str:
    """Name a set of corruptions as a metric label does: ``c15``, ``fog+frost``, ``11/15``."""
    names = set(corruptions)
    for label, members in SETS.items():
        if names == set(members):
            return label
    if len(names) <= 3:
        return "+".join(sorted(names))
    whole = 15 if names <= set(C15) else 19
    return f"{len(names)}/{whole}"


def severity_label(severities: Sequence[int]) -> str:
    """Name severities as a metric label does: ``s1-5``, ``s3``, ``s1,3,5``."""
    ordered = sorted(set(severities))
    if len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"s{ordered[0]}-{ordered[-1]}"
    return "s" + ",".join(map(str, ordered))
