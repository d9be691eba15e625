"""The parts of the check, in the order of their worth."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One question, and the function that answers it."""

    name: str
    function: str
    """``module:function``; it gets a `Context` and yields rows, which are JSON objects with a ``name``."""
    question: str
    limit: float
    """Seconds it may take on a card."""
    needs_card: bool = False
    least: float = 6.0
    """Seconds under which it is not begun."""
    grace: float = 2.0
    """Seconds between the moment at which it is told to end and that at which it is stopped."""

    def most(self, quick: bool) -> float:
        """Seconds after which it is stopped."""
        return 120.0 if quick else self.limit


def _part(name: str, function: str, question: str, limit: float, *, needs_card: bool = False) -> Part:
    return Part(name, f"tools.gpu_check.{function}", question, limit, needs_card)


PARTS = (
    _part("corruptions", "equality:corruptions", "Do all corruptions make the pixels of the CPU?", 110),
    _part("jpeg", "equality:jpeg", "Are the pixels of JPEG those of libjpeg?", 20),
    _part("layer", "networks:layer", "Does the push-pull layer compute its definition, forward and backward?", 25),
    _part("networks", "networks:networks", "Are the networks' logits those of the CPU?", 40),
    _part("run-files", "runs:run_files", "Are the counts of a run file those of the CPU?", 60),
    _part("engine", "speed:engine", "How many images per second does each corruption make?", 75),
    _part("evaluation", "whole:evaluation", "What does an evaluation cost beside the network's forward passes?", 90),
    _part("push-pull", "speed:push_pull", "What does push-pull cost, in inference and in training?", 45),
    _part("forward", "speed:forward", "How fast is ResNet-50 in each precision and layout?", 50),
    _part("profile", "profile:profile", "Which kernels take the time of each phase? When is the card idle?", 45),
    _part("processes", "runs:processes", "Do two processes on one card write the run file of one?", 75),
    _part("memory", "runs:memory", "Are batches halved that do not fit, with the same results?", 30, needs_card=True),
    _part("resume", "runs:resume", "Does an evaluation go on after kill -9, to the same run file?", 75),
    _part("decode", "whole:decode", "How many JPEGs per second are read?", 30),
    _part(
        "definition", "equality:definition", "Do the torch definitions make the same pixels on the card?", 45,
        needs_card=True,
    ),
    _part("c-bar", "equality:c_bar", "Do the corruptions of C-bar make the pixels of the CPU?", 45),
    _part("graphs", "graphs:graphs", "Are the compiled corruptions equal to the others, and how fast are they?", 110),
    _part("forward-compiled", "speed:forward_compiled", "How fast is ResNet-50 compiled?", 110, needs_card=True),
    _part(
        "evaluation-compiled", "whole:evaluation_compiled", "What does an evaluation with --compile cost?", 110,
        needs_card=True,
    ),
)  # fmt: skip
