"""A comparison in one paragraph."""

from __future__ import annotations

from collections.abc import Sequence

from ppbench.compare.comparison import Comparison, Difference
from ppbench.metrics.without_labels import has_labels, wording
from ppbench.run import Protocol
from ppbench.tables.numbers import points, signed


def verdict_text(comparison: Comparison) -> str:
    """Say what differs, what is not shown to differ, and which difference these images could have shown."""
    return f"{parts_text(comparison)} {_overall(comparison)}".strip()


def parts_text(comparison: Comparison) -> str:
    """Say in which families and corruptions two models differ, and whether they are the same model."""
    name, has_parts = comparison.other.name, bool(comparison.group("family"))
    same = [f"{name} and {comparison.reference.name} have the same weights."] if comparison.same_weights else []
    parts = [_families(comparison), *_corruptions(comparison)] if has_parts else []
    return " ".join([*same, *_adaptations(comparison), *parts])


def _adaptations(comparison: Comparison) -> list[str]:
    """Say which of two runs that were not adapted alike have statistics of the images that they are scored on."""
    pair = (comparison.other, comparison.reference)
    of = [run.run.protocol.adaptation for run in pair]
    if of[0] == of[1]:
        return []
    by = "each batch of frames" if pair[0].run.protocol.stream else "the images of each cell"
    adapted = [f"{run.name} normalised by {by}" for run in pair if run.run.protocol.adaptation]
    return [f"The protocols differ by adaptation: {' and '.join(adapted)}."]


def _families(comparison: Comparison) -> str:
    """``B makes fewer errors on noise (…) and more errors on weather (…) than A.``"""
    shown = [d for d in comparison.group("family") if d.is_shown(comparison.alpha) and d.points is not None]
    fewer = [d for d in shown if d.points and d.points.value < 0]
    more = [d for d in shown if d.points and d.points.value > 0]
    name = comparison.other.name
    words = wording(comparison.reference.run.protocol)
    if not shown:
        return f"No family of {words.what}s shows a difference between {name} and {comparison.reference.name}."
    verb, what = words.verb, words.made
    parts = [
        f"{word} {what} on {_listed(group, comparison)}" for word, group in (("fewer", fewer), ("more", more)) if group
    ]
    return f"{name} {verb} {' and '.join(parts)} than {comparison.reference.name}."


def _corruptions(comparison: Comparison) -> list[str]:
    """``Of 15 corruptions, these differ: fog (+2.1), ….``; empty if none does."""
    tested = comparison.group("corruption")
    shown = [f"{d.name} ({signed(d.points.value)})" for d in tested if d.is_shown(comparison.alpha) and d.points]
    if not shown or len(tested) == 1:  # of one alone its family says the same
        return []
    return [f"Of {len(tested)} {wording(comparison.reference.run.protocol).what}s, these differ: {', '.join(shown)}."]


def _listed(differences: Sequence[Difference], comparison: Comparison) -> str:
    texts = [f"{d.name} ({points(d.points, comparison.confidence)})" for d in differences if d.points]
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"


def same_results(protocol: Protocol) -> str:
    """``are right on exactly the same images``, or what two equal results are of other runs."""
    words = wording(protocol)
    if protocol.has_trials:
        return f"{words.do if words.shows_lost else 'are right'} exactly as often on every image"
    if protocol.stream is not None:
        return "are right on exactly the same frames"
    return (
        "are right on exactly the same images" if has_labels(protocol) else f"{words.do} exactly the same predictions"
    )


def _overall(comparison: Comparison) -> str:
    """The difference in the mean error, in the flip rate, or in the mean flip probability."""
    protocol = comparison.reference.run.protocol
    mean, words = comparison.plain, wording(protocol)
    if mean.points is None:
        return f"Overall: n/a: {mean.reason}."
    interval = points(mean.points, comparison.confidence)
    if comparison.is_alike:
        same = same_results(protocol)
        return f"Overall both {same}."
    if mean.is_shown(comparison.alpha):
        word = "fewer" if mean.points.value < 0 else "more"
        it = "it" if comparison.group("family") else comparison.other.name
        return f"Overall {it} {words.verb} {word} {words.made} ({interval})."
    n = comparison.reference.run.protocol.n
    could = "not have shown any" if mean.detectable is None else f"have shown one of {mean.detectable:.1f} points"
    return f"Overall no difference is shown ({interval}); these {n:,} images could {could}."
