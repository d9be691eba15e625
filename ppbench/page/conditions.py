"""What was measured, in words: the protocol of the runs, and of each run its model, its hashes and its command."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ppbench.metrics.of_streams import stream_in_words
from ppbench.metrics.without_labels import has_labels, has_normalizer, wording
from ppbench.page.inputs import PageInputs, PageRun
from ppbench.run import UNKNOWN, Protocol, expected_cells
from ppbench.vocabulary import cell_in_words, set_label

_SOURCES = {
    "published": "read from the published set",
    "generated": "made from the clean images",
    "generated-jpeg85": "made from the clean images",
}


class Condition(NamedTuple):
    """One fact."""

    name: str
    value: str
    is_code: bool = False
    """Whether it is a hash or a command, which people copy."""


def protocol_conditions(inputs: PageInputs) -> list[Condition]:
    """What all runs have in common; it comes from the first of them."""
    run = inputs.runs[0]
    protocol, errors = run.run.protocol, run.summary.cell_errors
    lost = f", {errors.unreadable:,} of them could not be read" if protocol.unreadable else ""
    severities, words = ", ".join(map(str, protocol.severities)), wording(protocol)
    found = [
        Condition("dataset", protocol.dataset),
        Condition("frames" if protocol.stream else "images", f"{protocol.n:,} of {protocol.total:,}{lost}"),
        *(
            [Condition("stream", (stream_in_words(protocol) or "").removeprefix("stream "))]
            if protocol.stream
            else [Condition(f"{words.what}s", _corruptions(protocol)), Condition(words.levels, severities)]
        ),
        Condition("frames" if protocol.sequences else "corrupted images", _origin(protocol)),
        Condition("precision", _precision(protocol)),
        Condition("normaliser of FR and T5D" if protocol.sequences else "normaliser of CE", run.summary.normalizer)
        if has_normalizer(protocol)
        else Condition("labels", "" if protocol.stream else "each model's own predictions of the clean images"),
        Condition("intervals", _intervals(inputs)),
        Condition("dataset fingerprint", protocol.fingerprint, is_code=True),
        Condition("hash of the images' ids", protocol.ids_sha256, is_code=True),
    ]
    if protocol.classes is not None:
        classes = protocol.classes
        used = {"own": "the model has just these", "masked": "only these compete", "all": "all outputs compete"}
        outputs = f"{classes.n:,} of {classes.outputs:,} outputs: {used[classes.logits]}"
        found.insert(2, Condition("classes", outputs))
    if protocol.passes is not None:
        found.append(Condition("passes over each image", str(protocol.passes)))
    if protocol.decoder is not None:
        found.append(Condition("JPEG files decoded by", protocol.decoder))
    allowed = dict.fromkeys(words for one in inputs.comparisons for words in one.allowed)
    return [*(one for one in found if one.value), *(Condition("allowed to differ", words) for words in allowed)]


def _precision(protocol: Protocol) -> str:
    head = f", last linear layer {protocol.head_precision}" if protocol.head_precision else ""
    return protocol.precision + head


def _corruptions(protocol: Protocol) -> str:
    names = ", ".join(protocol.corruptions)
    return f"{set_label(protocol.corruptions)}: {names}" if len(protocol.corruptions) > 1 else names


def _origin(protocol: Protocol) -> str:
    words = _SOURCES[protocol.source]
    if protocol.sequences is not None:
        words = f"{protocol.sequences}, {words}"
    if protocol.source == "published":
        return words
    if protocol.engine == UNKNOWN:
        return "corrupted elsewhere by unknown software"
    saved = ", saved as JPEG 85 as the published ones were" if protocol.source == "generated-jpeg85" else ""
    return f"{words} by {protocol.engine}, recipe {protocol.recipe}, seed {protocol.seed}{saved}"


def _intervals(inputs: PageInputs) -> str:
    notes = dict.fromkeys(note for run in inputs.runs for note in run.summary.interval_notes)
    return " ".join(notes)


def _adaptation(protocol: Protocol, *, in_stream: bool) -> str:
    """How the network was adapted, if that was on a stream or not; else an empty text."""
    adaptation = protocol.adaptation
    if adaptation is None or bool(adaptation.consecutive) is not in_stream:
        return ""
    return f"{adaptation}, {adaptation.batch} frames" if in_stream else str(adaptation)


def run_conditions(run: PageRun) -> list[Condition]:
    """The model of a run, where and how it was run, and the command as it was recorded."""
    record, made = run.run.model, run.run.provenance
    versions = ", ".join(f"{name} {version}" for name, version in sorted(made.versions.items()))
    where = " · ".join(part for part in (made.device, made.platform) if part and part != UNKNOWN)
    found = [
        Condition("model", record.name),
        Condition("parameters", f"{record.parameters:,}" if record.parameters else ""),
        Condition("weights", record.weights_sha256 or "", is_code=True),
        Condition("run by", record.runtime or ""),
        Condition("preprocessing", run.run.protocol.preprocessing),
        Condition("adapted to each cell", _adaptation(run.run.protocol, in_stream=False)),
        Condition("adapted to each batch", _adaptation(run.run.protocol, in_stream=True)),
        Condition("prompts", _prompts(run.run.protocol)),
        Condition("missing cells", _missing_cells(run)),
        Condition("run on", where),
        Condition("versions", versions),
        Condition("commit", made.git_commit or "", is_code=True),
        Condition("started", "" if made.started == UNKNOWN else f"{made.started}, took {made.seconds:,.0f} s"),
        Condition("command, as recorded", made.command, is_code=True),
    ]
    return [one for one in found if one.value]


def missing_cells(run: PageRun) -> list[tuple[str, int]]:
    """The cells that were asked for and are not in the run."""
    protocol = run.run.protocol
    present = {cell.key for cell in run.run.cells}
    return [key for key in _expected(protocol) if key not in present]


def _expected(protocol: Protocol) -> list[tuple[str, int]]:
    """All cells that a run may have; sequences and streams have no clean one."""
    cells = expected_cells(protocol.corruptions, protocol.severities)
    return cells if protocol.sequences is None and protocol.stream is None else cells[1:]


def _prompts(protocol: Protocol) -> str:
    """The templates of a zero-shot model's prompts, the first of many."""
    templates = () if protocol.prompts is None else protocol.prompts.templates
    more = f", … ({len(templates)} in all)" if len(templates) > 5 else ""
    return ", ".join(map(repr, templates[:5])) + more


def _missing_cells(run: PageRun) -> str:
    missing = missing_cells(run)
    if not missing:
        return ""
    level = wording(run.run.protocol).level
    named = ", ".join(cell_in_words(key, level) for key in missing[:6]) + (", …" if len(missing) > 6 else "")
    total = len(_expected(run.run.protocol))
    return f"{len(missing)} of {total}: {named}"


class Lack(NamedTuple):
    """Something that a report could show and its runs do not have."""

    what: str
    why: str
    command: str
    """What gets it."""


def lacks(inputs: PageInputs) -> Iterator[Lack]:
    """What is missing in the runs, and how to get it."""
    for run in (*inputs.runs, *([inputs.baseline] if inputs.baseline else [])):
        again, several = _again(run), not run.run.protocol.is_by_image
        if run.run.bits is None:
            with_labels = has_labels(run.run.protocol)
            of_one = f", first flips{', error consistency' * with_labels}"
            what = f"{run.name}: intervals, paired differences{of_one * (not several)}"
            yield Lack(what, f"{run.path.name} was written without correctness bits", again)
        if run.run.predictions is None and run is not inputs.baseline and not several:
            parts = (
                "worst classes, added confusions" if has_labels(run.run.protocol) else "intervals of confidence lost"
            )
            what = f"{run.name}: {parts}, predictions under the pictures"
            yield Lack(what, f"{run.path.name} has no predictions", again)
        bare = has_labels(run.run.protocol) and any(cell.bin_n is None for cell in run.run.cells)
        if bare and run is not inputs.baseline and not several:
            yield Lack(f"{run.name}: reliability diagrams", "its predictions came without probabilities", again)
        if missing := missing_cells(run):
            words = wording(run.run.protocol)
            first = cell_in_words(missing[0], words.level)
            why = f"{len(missing)} cells are missing: {first}{', …' if len(missing) > 1 else ''}"
            yield Lack(f"{run.name}: means over all {words.what}s", why, again)


def _again(run: PageRun) -> str:
    """The command of the run, without the option that leaves predictions out."""
    command = run.run.provenance.command.strip()
    if not command:
        return f"ppbench eval --model MODEL --dataset {run.run.protocol.dataset}"
    return command.replace(" --no-predictions", "")
