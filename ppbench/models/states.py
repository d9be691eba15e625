"""Which of all that a checkpoint holds are the weights of its network, and what these are called without wrappers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

_KEYS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "params", "weights", "module",
)  # fmt: skip
"""Under which people save a network's weights, the surest first."""

_OTHERS = re.compile(r"optim|sched|callback|loop|scaler|config|args|param_groups|hyper|metric|history|rng")
"""In the keys of what is no network."""

_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged|avg)([._]|$)", re.IGNORECASE)
"""In the keys, and in the first part of the names, of weights averaged over the training."""

_WRAPPERS = ("module", "model", "_orig_mod")
"""First parts of names that no network of torchvision's or timm's has."""

_HOLDERS = (*_WRAPPERS, "net", "network", "backbone", "online_model")
"""First parts that are left out where all names have them: a network may have one of these itself."""

_BESIDE = re.compile(
    r"(n_averaged|initted|step"
    r"|(attacker|normalizer|normalize|criterion|loss|loss_fn|metrics?|(train|val|valid|test)_\w+)\..*)$"
)
"""Names of what stands beside a network in the module that trained it, once that module's wrapper is left out."""


class FoundWeights(NamedTuple):
    """The weights that were chosen."""

    tensors: dict[str, Tensor]
    """Under the names in the file."""
    key: str
    """Where they are: keys with dots; empty: the file holds nothing else."""
    averaged: str | None
    """Where weights of the other kind are, averaged over the training or not; None: there are none."""


class NoWeightsError(Exception):
    """There are none, none of the kind that was asked for, or several and no telling which are meant."""


def choose_weights(content: Mapping[Any, Any], *, ema: bool = False) -> FoundWeights:
    """Find the weights of the network in what a checkpoint holds.

    Args:
        content: What the file has.
        ema: Whether those are wanted that were averaged over the training. Without it they are taken where there are
            no others.

    Raises:
        NoWeightsError: If there is no choice; its text names the keys that were found.
    """
    found = {name: tensors for name, tensors in _states(content, "", 3, set()) if tensors}
    # A best score or a counter beside the weights may be a tensor, too.
    found = {name: of for name, of in found.items() if any(tensor.dim() for tensor in of.values())} or found
    averaged = {name: tensors for name, tensors in found.items() if _AVERAGED.search(name)}
    plain = {name: tensors for name, tensors in found.items() if name not in averaged}
    if not found:
        keys = ", ".join(_shown(key) for key in list(content)[:8])
        raise NoWeightsError(f"holds no tensors{f' where weights are; its keys: {keys}' if keys else ''}")
    if ema and not averaged and not any(_is_averaged_name(name) for tensors in plain.values() for name in tensors):
        raise NoWeightsError(f"holds no averaged weights, for which --ema asks; there are {_list(found)}")
    wanted, rest = (averaged, plain) if (ema and averaged) or not plain else (plain, averaged)
    key = _choose(wanted)
    return FoundWeights(wanted[key], key, _choose(rest) if rest else None)


def without_wrappers(state: Mapping[str, Tensor], *, ema: bool = False) -> dict[str, Tensor]:
    """The names without the prefixes of modules that wrapped the network in training, and without what stood beside it.

    Args:
        state: Tensors by the names in the file.
        ema: Whether those of an averaged copy are wanted, where there is one beside the network.
    """
    names = {name: name for name in state}
    while True:
        names = _without_one(names, ema)
        holders = {inner.partition(".")[0] for inner in names.values() if "." in inner}
        if not names or not (holders <= {*_HOLDERS} and all("." in inner for inner in names.values())):
            break
        names = {name: inner.partition(".")[2] for name, inner in names.items()}
    return {inner: state[name] for name, inner in names.items()}


def has_averaged(state: Iterable[str]) -> bool:
    """Whether some of the names are of an averaged copy that stands beside the network."""
    marks = [_is_averaged_name(name) for name in state]
    return any(marks) and not all(marks)


def _states(node: Mapping[Any, Any], where: str, depth: int, seen: set[int]) -> Iterable[tuple[str, dict[str, Tensor]]]:
    """Mappings with tensors, by their keys; what is named like an optimiser's is left out."""
    # Some of the push-pull authors' files keep the fixed inhibition strength in the state dict, as a plain number.
    yield where, {key: value for key, value in node.items() if isinstance(key, str) and isinstance(value, Tensor)}
    for key, value in node.items():
        is_new = isinstance(value, Mapping) and id(value) not in seen
        if depth and is_new and isinstance(key, str) and not _OTHERS.search(key.lower()):
            seen.add(id(value))  # a mapping that stands in many places would be walked through in each
            yield from _states(value, f"{where}.{key}" if where else key, depth - 1, seen)


def _choose(found: Mapping[str, Any]) -> str:
    """The key of the weights, by what people call it; what is known comes first, then the top of the file."""
    if len(found) == 1:
        return next(iter(found))
    for known in _KEYS:
        for name in found:
            if name.rpartition(".")[2] == known or name.partition(".")[0] == known:
                return name
    averaged = [name for name in found if _AVERAGED.search(name)]
    if "" in found or averaged:
        return "" if "" in found else averaged[0]
    raise NoWeightsError(f"holds the weights of several networks, under {_list(found)}")


def _without_one(names: dict[str, str], ema: bool) -> dict[str, str]:
    """Leave out wrappers that no network has, what stands beside a network, and the copies that are not wanted."""
    names = {name: re.sub(rf"^(({'|'.join(_WRAPPERS)})\.)+", "", inner) for name, inner in names.items()}
    names = {name: inner for name, inner in names.items() if not _BESIDE.match(inner)}
    marks = {name: _is_averaged_name(inner) for name, inner in names.items()}
    if any(marks.values()):
        wanted = ema or all(marks.values())
        chosen = {name: inner for name, inner in names.items() if marks[name] == wanted}
        names = {name: inner.partition(".")[2] for name, inner in chosen.items()} if wanted else chosen
    return names


def _is_averaged_name(name: str) -> bool:
    first, dot, _ = name.partition(".")
    return bool(dot) and _AVERAGED.search(first) is not None


def _list(found: Iterable[str]) -> str:
    return ", ".join(_shown(name) if name else "tensors at the top" for name in list(found)[:8])


def _shown(key: Any) -> str:
    text = str(key) if isinstance(key, str | int) else type(key).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])
