"""The parts of the check, in the order of their worth."""

from __future__ import annotations

from dataclasses import dataclass

USUAL_SECONDS = 480.0
"""Time for all parts if no other is given."""
START_UP = 20.0
"""Seconds that the worker may take to start, beside the parts."""


@dataclass(frozen=True)
class Part:
    """One question, and the function that answers it."""

    name: str
    function: str
    """``module:function``; it gets a `Context` and yields rows, which are JSON objects with a ``name``."""
    question: str
    limit: float
    """Seconds it may take on a card."""
    full_limit: float | None = None
    """The same with --full; None: as usual."""
    needs_card: bool = False
    is_usual: bool = True
    """Whether its time is part of the usual `USUAL_SECONDS`. Other parts get what is left of them, or need --full."""
    least: float = 6.0
    """Seconds under which it is not begun."""
    grace: float = 2.0
    """Seconds between the moment at which it is told to end and that at which it is stopped."""

    def most(self, quick: bool, full: bool = False) -> float:
        """Seconds after which it is stopped."""
        return 120.0 if quick else (self.full_limit or self.limit) if full else self.limit


def _part(
    name: str, function: str, question: str, limit: float, full_limit: float | None = None, *, needs_card: bool = False
) -> Part:
    return Part(name, f"tools.gpu_check.{function}", question, limit, full_limit, needs_card)


def _if_time_is_left(name: str, function: str, question: str, limit: float, *, needs_card: bool = False) -> Part:
    return Part(name, f"tools.gpu_check.{function}", question, limit, None, needs_card, is_usual=False)


PARTS = (
    _part("corruptions", "equality:corruptions", "Do all corruptions make the pixels of the CPU?", 75, 150),
    _part("jpeg", "equality:jpeg", "Are the pixels of JPEG those of libjpeg?", 10, 20),
    _part("layer", "networks:layer", "Does the push-pull layer compute its definition, forward and backward?", 10, 25),
    _part("networks", "networks:networks", "Are the networks' logits those of the CPU?", 20, 40),
    _part("run-files", "runs:run_files", "Are the counts of a run file those of the CPU?", 40, 60),
    _part("engine", "engine:engine", "How many images per second does each corruption make, and which?", 100, 240),
    _part("evaluation", "whole:evaluation", "What does an evaluation cost beside forward passes alone?", 75, 110),
    _part("push-pull", "speed:push_pull", "What does push-pull cost, in inference and in training?", 30, 45),
    _part("c-bar", "equality:c_bar", "Do the corruptions of C-bar make the pixels of the CPU?", 15, 60),
    _part("sequences", "equality:sequences", "Do perturbation sequences have the frames of the CPU?", 10, 60),
    _part("resume", "runs:resume", "Does an evaluation go on after kill -9, to the same run file?", 30, 75),
    _part("processes", "runs:processes", "Do two processes on one card write the run file of one?", 25, 75),
    _part("memory", "runs:memory", "Are too large batches halved, with the same results?", 15, 30, needs_card=True),
    _if_time_is_left("forward", "speed:forward", "How fast is ResNet-50 in each precision and layout?", 50),
    _if_time_is_left("profile", "profile:profile", "Which kernels take the time of each phase? When is it idle?", 45),
    _if_time_is_left("decode", "whole:decode", "How many JPEGs per second are read?", 30),
    _if_time_is_left(
        "definition", "equality:definition", "Do the torch definitions make the same pixels on the card?", 60,
        needs_card=True,
    ),
    _if_time_is_left(
        "evaluation-compiled", "whole:evaluation_compiled", "What does an evaluation with --compile cost?", 110,
        needs_card=True,
    ),
    _if_time_is_left(
        "forward-compiled", "speed:forward_compiled", "How fast is ResNet-50 compiled?", 110, needs_card=True
    ),
)  # fmt: skip
