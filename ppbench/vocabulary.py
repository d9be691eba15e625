"""The field's names for corruptions: families, sets and severities.

Source: Hendrycks & Dietterich, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations", ICLR 2019. Kept free of imports so that both halves of ppbench share one vocabulary.
"""

from __future__ import annotations

import hashlib
import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ppbench.errors import UsageError
from ppbench.lookup import did_you_mean, unknown_name

CLEAN = "clean"
"""The name of the uncorrupted images, as a cell of severity 0."""

PREDICTED: Literal["predicted"] = "predicted"
"""The labels of images without labels: each model's own predictions of the uncorrupted images."""

SEVERITIES = (1, 2, 3, 4, 5)

Cell = tuple[str, int]
"""Corruption and severity; ``("clean", 0)`` is the uncorrupted images."""

CropMode = Literal["center", "squash", "border"]
"""How an image becomes square, as in timm's ``crop_mode``.

"center" resizes the shorter side and crops; "squash" resizes both sides; "border" resizes the longer side and adds a
border.
"""

LARGEST_SIDE = 16_384
"""Largest side of the images that enter a network, in pixels. Such an image has 800 MB, and no network takes it."""

NAME_PATTERN = r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,63}"
"""Pattern of a corruption's name. Datasets may have corruptions that no published set has."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur"),
    "weather": ("snow", "frost", "fog", "brightness"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression"),
    "extra": ("speckle_noise", "gaussian_blur", "spatter", "saturate"),
}
"""Corruption names by family, in the order of the paper's tables. "extra" are its validation corruptions."""

C15 = tuple(name for family in ("noise", "blur", "weather", "digital") for name in FAMILIES[family])
C4 = FAMILIES["extra"]
C19 = C15 + C4

C_BAR = (
    "blue_noise_sample", "brownish_noise", "caustic_refraction", "checkerboard_cutout", "cocentric_sine_waves",
    "inverse_sparkles", "perlin_noise", "plasma_noise", "single_frequency_greyscale", "sparkles",
)  # fmt: skip
"""ImageNet-C-bar: Mintun et al., "On Interaction Between Augmentations and Corruptions", NeurIPS 2021."""

_ONLY_CIFAR_BAR = (
    "circular_motion_blur", "lines", "pinch_and_twirl", "ripple", "transverse_chromatic_abberation",
)  # fmt: skip
C_BAR_CIFAR = (
    "blue_noise_sample", "brownish_noise", "checkerboard_cutout", "inverse_sparkles", "sparkles", *_ONLY_CIFAR_BAR,
)  # fmt: skip
"""CIFAR-10-C-bar, of the same paper; it has five corruptions in common with ImageNet-C-bar."""

C_3D = (
    "near_focus", "far_focus", "xy_motion_blur", "z_motion_blur", "flash", "h265_crf", "h265_abr", "bit_error",
    "fog_3d", "iso_noise", "color_quant", "low_light",
)  # fmt: skip
"""ImageNet-3DCC: Kar et al., "3D Common Corruptions and Data Augmentation", CVPR 2022."""

SETS = {"c15": C15, "c4": C4, "c19": C19, "cbar": C_BAR, "cifar-cbar": C_BAR_CIFAR, "3dcc": C_3D}

FAMILIES_3D = {
    "depth of field": C_3D[0:2], "camera motion": C_3D[2:4], "lighting": C_3D[4:5], "video": C_3D[5:8],
    "3d weather": C_3D[8:9], "3d noise": C_3D[9:12],
}  # fmt: skip
"""The groups of the ImageNet-3DCC paper."""

ALL_FAMILIES = {**FAMILIES, "c-bar": C_BAR + _ONLY_CIFAR_BAR, **FAMILIES_3D}

MADE = C19 + ALL_FAMILIES["c-bar"]
"""The corruptions that ppbench makes."""

KNOWN = MADE + C_3D
"""All corruptions of published sets, in canonical order."""

P10 = (
    "gaussian_noise", "shot_noise", "motion_blur", "zoom_blur", "snow", "brightness", "translate", "rotate", "tilt",
    "scale",
)  # fmt: skip
"""The ten perturbations of the metrics of ImageNet-P, in the order of the paper's tables."""

CIFAR_P10 = tuple("spatter" if name == "snow" else name for name in P10)
"""The ten of CIFAR-10-P: the list of the published script has spatter in place of snow."""

P4 = ("speckle_noise", "gaussian_blur", "spatter", "shear")
"""The four that the paper keeps for validation."""

P_SETS = {"p14": P10 + P4, "p10": P10, "cifar-p10": CIFAR_P10, "p4": P4}
"""Sets of perturbations of sequences, the larger ones first."""

_GEOMETRY = ("translate", "rotate", "tilt", "scale", "shear")
"""Perturbations that are no corruptions, in canonical order."""

_ORDER = KNOWN + _GEOMETRY

OWN = "own"
"""The family of corruptions that no published set has: the user's own functions, and those of a dataset alone."""

_GROUPS = {**P_SETS, "c19": C19, **SETS, **ALL_FAMILIES}
"""Groups that labels may name: sets before the families that they consist of."""

FEW_NAMES = 3
"""Number of corruptions up to which a label lists them by name."""

_FAMILY_OF = {name: family for family, names in (ALL_FAMILIES | {"geometry": _GEOMETRY}).items() for name in names}

FAMILY_OF = {name: _FAMILY_OF[name] for name in MADE}
"""Families of the corruptions that ppbench makes."""


def family_of(corruption: str) -> str:
    """Return the family of a corruption; ``"own"`` if no published set has it."""
    return _FAMILY_OF.get(corruption, OWN)


def cell_in_words(cell: Cell, level: str = "severity") -> str:
    """``fog at severity 3``, or ``clean``; the level of a perturbation is its difficulty."""
    corruption, severity = cell
    return corruption if corruption == CLEAN else f"{corruption} at {level} {severity}"


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """Return corruption names in canonical order, each once. Names of no published set come last, sorted."""
    wanted = set(names)
    return (*(name for name in _ORDER if name in wanted), *sorted(wanted - set(_ORDER)))


def expand_corruptions(
    values: Sequence[str], names: Sequence[str] = MADE, *, c_bar: Sequence[str] = C_BAR, own: bool = False
) -> tuple[str, ...]:
    """Turn names, families and sets into corruption names in the canonical order, each once.

    Args:
        values: Any of ``names``, and families (`ALL_FAMILIES`) and sets (`SETS`) with some of them.
        names: The corruptions to choose from.
        c_bar: What "cbar" and "c-bar" mean: the C-bar set for the images' size.
        own: Whether a function of the user's own would do as well, for the message.

    Raises:
        UsageError: If a value is none of these.
    """
    known = ALL_FAMILIES | SETS | {"cbar": tuple(c_bar), "c-bar": tuple(c_bar)}
    groups = {group: members for group, members in known.items() if not set(members).isdisjoint(names)}
    wanted: set[str] = set()
    for value in values:
        name = value.strip().lower()
        if name in groups:
            wanted.update(groups[name])
        # Published names are in lower case; names of other datasets are as their folders are called.
        elif name in names or value.strip() in names:
            wanted.add(name if name in names else value.strip())
        else:
            unknown = unknown_name("corruption", value, [*names, *groups], "ppbench list corruptions", len(KNOWN))
            unknown.hint += " One of your own is a function, `pkg.mod:function`." if own else ""
            raise unknown
    return in_order(wanted)


def severity_texts(severities: Any) -> list[str]:
    """Turn one severity or several, as texts or integers of any library, into the input of `expand_severities`."""
    several = isinstance(severities, Iterable) and not isinstance(severities, str)
    if not several or getattr(severities, "ndim", None) == 0:
        severities = [severities]
    return [str(severity if (number := _as_integer(severity)) is None else number) for severity in severities]


def _as_integer(value: Any) -> int | None:
    """Return the value as an integer, or None if it is not one. True is a mistake and not 1."""
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def expand_severities(values: Sequence[str]) -> tuple[int, ...]:
    """Turn ``["1", "3-5"]`` into ``(1, 3, 4, 5)``: sorted, each once.

    Raises:
        UsageError: For anything but the integers 1 to 5 and ranges of them.
    """
    return _expand_levels(values, 5, "severity", "Severities are 1 to 5: `--severities 3` or `--severities 1-5`.")


def expand_difficulties(values: Sequence[str]) -> tuple[int, ...]:
    """Turn ``["1-3"]`` into ``(1, 2, 3)``, as `expand_severities` does: the difficulties of perturbation sequences.

    Raises:
        UsageError: For anything but the integers 1 to 3 and ranges of them.
    """
    hint = "Difficulties are 1 to 3: `--difficulties 1` or `--difficulties 1-3`."
    return _expand_levels(values, 3, "difficulty", hint)


def _expand_levels(values: Sequence[str], most: int, what: str, hint: str) -> tuple[int, ...]:
    wanted: set[int] = set()
    for value in values:
        first, dash, last = value.strip().partition("-")
        ends = [int(part) for part in ((first, last) if dash else (first,)) if part.isdecimal()]
        if len(ends) != 1 + bool(dash) or not 1 <= ends[0] <= ends[-1] <= most:
            raise UsageError(f"{what} {value!r} is not allowed", hint)
        wanted.update(range(ends[0], ends[-1] + 1))
    return tuple(sorted(wanted))


def expand_perturbations(values: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Turn names of perturbations and of their sets (`P_SETS`) into names in canonical order, each once.

    Args:
        values: The names.
        names: The perturbations to choose from.

    Raises:
        UsageError: If a value is none of these.
    """
    groups = {group: members for group, members in P_SETS.items() if set(members) <= set(names)}
    wanted: set[str] = set()
    for value in values:
        name = value.strip().lower()
        if name not in groups and name not in names:
            allowed = [*in_order(names), *groups]
            raise UsageError(
                f"unknown perturbation {value!r}", f"{did_you_mean(name, allowed)}Allowed: {', '.join(allowed)}."
            )
        wanted.update(groups.get(name, (name,)))
    return in_order(wanted)


def set_label(corruptions: Sequence[str]) -> str:
    """Name a set of corruptions for a metric label. No two sets have the same name.

    Whole sets and families have their own names. Any other set is named by its corruptions if they are few, otherwise
    by their number and a hash. Examples: ``c15``, ``blur``, ``noise+weather``, ``c15+spatter``, ``fog+frost``,
    ``9/15#1f2e3d4c``, ``5 corruptions#1f2e3d4c``. An ambiguous name is quoted: ``"a+b"``.
    """
    groups, others = _whole_groups(corruptions)
    # A corruption that only one dataset has may be called like a group, or have a plus in its name.
    parts = [*groups, *(f'"{name}"' if name in _GROUPS or "+" in name else name for name in others)]
    if not others or len(parts) <= FEW_NAMES:
        return "+".join(parts)
    names = set(corruptions)
    return f"{_counted(names)}#{hashlib.sha256(','.join(sorted(names)).encode()).hexdigest()[:8]}"


def older_set_label(corruptions: Sequence[str]) -> str:
    """Return the label of earlier versions, which old run files have. ``11/15`` did not distinguish all sets."""
    names = set(corruptions)
    for label, members in SETS.items():
        if names == set(members):
            return label
    return "+".join(sorted(names)) if len(names) <= FEW_NAMES else _counted(names)


def _whole_groups(corruptions: Iterable[str]) -> tuple[list[str], list[str]]:
    """Return the sets and families that are complete, sets first, and the names of the rest, sorted."""
    rest, groups = set(corruptions), []
    for label, members in _GROUPS.items():
        if len(members) > 1 and rest >= set(members):
            groups.append(label)
            rest -= set(members)
    return groups, sorted(rest)


def _counted(names: set[str]) -> str:
    """Count corruptions: ``11/15``, ``5 corruptions``."""
    sets = (C15, C19, C_BAR, C_BAR_CIFAR, C_3D, *reversed(P_SETS.values()))
    whole = next((len(members) for members in sets if names <= set(members)), None)
    return f"{len(names)}/{whole}" if whole else f"{len(names)} corruptions"


def severity_label(severities: Sequence[int], letter: str = "s") -> str:
    """Name severities for a metric label: ``s1-5``, ``s3``, ``s1,3,5``. Those of sequences are difficulties: ``d1``."""
    ordered = sorted(set(severities))
    if len(ordered) > 1 and ordered == list(range(ordered[0], ordered[-1] + 1)):
        return f"{letter}{ordered[0]}-{ordered[-1]}"
    return letter + ",".join(map(str, ordered))
