"""Find the weights of the network in the content of a checkpoint, and strip the prefixes of wrappers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor

_KEYS = (
    "state_dict", "model_state_dict", "model_state", "model", "net", "network", "params", "weights", "module",
)  # fmt: skip
"""Usual keys for a network's weights, the most reliable first."""

_OTHERS = re.compile(r"optim|sched|callback|loop|scaler|config|args|param_groups|hyper|metric|history|rng")
"""Found in keys of content that is not a network."""

_AVERAGED = re.compile(r"(^|[._])(ema|swa|averaged|avg)([._]|$)", re.IGNORECASE)
"""Found in the keys, or in the first part of the names, of weights averaged over the training."""

_WRAPPERS = ("module", "model", "_orig_mod")
"""First parts of names that no network of torchvision or timm uses."""

_HOLDERS = (*_WRAPPERS, "net", "network", "backbone", "online_model")
"""First parts that are dropped only if all names have one of them: a network may use some itself."""

_BESIDE = re.compile(
    r"(n_averaged|initted|step"
    r"|(attacker|normalizer|normalize|criterion|loss|loss_fn|metrics?|(train|val|valid|test)_\w+)\..*)$"
)
"""Names of tensors beside the network in the module that trained it, without that module's prefix."""


class FoundWeights(NamedTuple):
    """The weights that were chosen."""

    tensors: dict[str, Tensor]
    """Under the names in the file."""
    key: str
    """Their keys, joined by dots; empty: at the top of the file."""
    averaged: str | None
    """Key of the weights of the other kind (averaged over the training or not); None: there are none."""

    @property
    def are_averaged(self) -> bool:
        """Whether their key, or all their names, say that they were averaged over the training."""
        return _AVERAGED.search(self.key) is not None or all(map(_is_averaged_name, self.tensors))


class NoWeightsError(Exception):
    """Raised if there are no weights, none of the wanted kind, or several sets without a clear choice."""


def choose_weights(content: Mapping[Any, Any], *, ema: bool = False) -> FoundWeights:
    """Find the weights of the network in the content of a checkpoint.

    Args:
        content: The content of the file.
        ema: Whether to take the weights that were averaged over the training. Otherwise these are taken only if there
            are no others.

    Raises:
        NoWeightsError: If there is no clear choice; the message names the keys that were found.
    """
    found = {name: tensors for name, tensors in _states(content, "", 3, set()) if tensors}
    # A best score or a counter beside the weights may be a tensor, too.
    found = {name: of for name, of in found.items() if any(tensor.dim() for tensor in of.values())} or found
    averaged = {name: tensors for name, tensors in found.items() if _AVERAGED.search(name)}
    plain = {name: tensors for name, tensors in found.items() if name not in averaged}
    if not found:
        keys = ", ".join(_shown(key) for key in list(content)[:8])
        raise NoWeightsError(f"holds no tensors{f' where weights usually are; its keys: {keys}' if keys else ''}")
    if ema and not averaged and not any(_is_averaged_name(name) for tensors in plain.values() for name in tensors):
        raise NoWeightsError(f"holds no averaged weights, as --ema requires; it has {_list(found)}")
    wanted, rest = (averaged, plain) if (ema and averaged) or not plain else (plain, averaged)
    key = _choose(wanted)
    return FoundWeights(wanted[key], key, _choose(rest) if rest else None)


def without_wrappers(state: Mapping[str, Tensor], *, ema: bool = False) -> dict[str, Tensor]:
    """Strip the prefixes of modules that wrapped the network in training, and drop the tensors beside the network.

    Args:
        state: Tensors by the names in the file.
        ema: Whether to take the averaged copy, if there is one beside the network.
    """
    names = {name: name for name in state}
    # Wrappers may be nested, such as DistributedDataParallel around a compiled network.
    while True:
        names = _without_one(names, ema)
        holders = {inner.partition(".")[0] for inner in names.values() if "." in inner}
        if not names or not (holders <= {*_HOLDERS} and all("." in inner for inner in names.values())):
            break
        names = {name: inner.partition(".")[2] for name, inner in names.items()}
    return {inner: state[name] for name, inner in names.items()}


def has_averaged(state: Iterable[str]) -> bool:
    """Whether some of the names, but not all, belong to an averaged copy of the network."""
    marks = [_is_averaged_name(name) for name in state]
    return any(marks) and not all(marks)


def _states(node: Mapping[Any, Any], where: str, depth: int, seen: set[int]) -> Iterable[tuple[str, dict[str, Tensor]]]:
    """Yield the mappings with tensors and their keys; those named like an optimiser's state are left out."""
    # Some of the push-pull authors' files keep the fixed inhibition strength in the state dict, as a plain number.
    yield where, {key: value for key, value in node.items() if isinstance(key, str) and isinstance(value, Tensor)}
    for key, value in node.items():
        is_new = isinstance(value, Mapping) and id(value) not in seen
        if depth and is_new and isinstance(key, str) and not _OTHERS.search(key.lower()):
            seen.add(id(value))  # a hostile file may refer to one mapping in very many places
            yield from _states(value, f"{where}.{key}" if where else key, depth - 1, seen)


def _choose(found: Mapping[str, Any]) -> str:
    """Return the most likely key of the weights: a usual one first, then the top of the file."""
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
    """Drop prefixes of wrappers, tensors beside the network, and the unwanted one of network and averaged copy."""
    names = {name: re.sub(rf"^(({'|'.join(_WRAPPERS)})\.)+", "", inner) for name, inner in names.items()}
    names = {name: inner for name, inner in names.items() if not _BESIDE.match(inner)}
    marks = {name: _is_averaged_name(inner) for name, inner in names.items()}
    if any(marks.values()):
        wanted = ema or all(marks.values())
        chosen = {name: inner for name, inner in names.items() if marks[name] == wanted}
        names = {name: inner.partition(".")[2] for name, inner in chosen.items()} if wanted else chosen
    # The copy may have tensors beside it too: torch's AveragedModel counts in one.
    return {name: inner for name, inner in names.items() if not _BESIDE.match(inner)}


def _is_averaged_name(name: str) -> bool:
    first, dot, _ = name.partition(".")
    return bool(dot) and _AVERAGED.search(first) is not None


def _list(found: Iterable[str]) -> str:
    return ", ".join(_shown(name) if name else "tensors at the top" for name in list(found)[:8])


def _shown(key: Any) -> str:
    text = str(key) if isinstance(key, str | int) else type(key).__name__
    return "".join(letter if letter.isprintable() else "?" for letter in text[:60])
