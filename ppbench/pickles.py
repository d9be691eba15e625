"""Pickles read as data: nothing in one is imported or run, and no size that it claims is trusted.

A pickle is a program for a machine with a stack, which may import and call anything. This machine knows the names that
its caller allows; any other name becomes a `Skipped` object, which only holds data. The cost of a program is bounded by
rules for all instructions alike, not by a list of attacks:

- every instruction, and every item that a constructor copies, is taken from a budget of steps;
- no length may go beyond the file, and long strings are not read but noted as `Bulk`;
- dicts keep only entries under strings and bytes, whose hashes cannot be forged; sets become lists;
- only dicts and lists are written into, so that no operator of another class is ever called.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable
from mmap import mmap
from pickle import UnpicklingError
from typing import Any

from ppbench.opcodes import LENGTHS, METHODS, PREFIXES, STOP, TWO_LINES
from ppbench.pickled import UNKNOWN_CONSTRUCTOR, Bulk, Constructor, Skipped, extend_list, put_items

MAX_STEPS = 600_000
"""Budget of steps. A ResNet-50, its average and the state of AdamW take 37,000; this many take half a second."""

MAX_STRING, MAX_TEXT = 1 << 16, 1 << 24
"""Largest size of one string, and of all strings, that are read, in bytes."""

MAX_INTEGER = 32
"""Largest size of an integer that is read, in bytes."""

Program = bytes | bytearray | mmap


Lookup = Callable[[str, str], Any]
"""From a module and a name to a `Constructor`, or to a value that the name stands for."""


def load_pickle(
    program: Program,
    lookup: Lookup,
    persistent: Callable[[Any], Any] | None = None,
    *,
    begin: int = 0,
    strings: str = "utf-8",
) -> tuple[Any, int]:
    """Run one pickle of ``program``, which begins at the byte ``begin``.

    Args:
        program: Bytes that contain the pickle. Bytes after its end are not read.
        lookup: Meaning of names.
        persistent: From what pickle calls a persistent id to its value; None: they are `Skipped`.
        begin: Place of its first byte.
        strings: Encoding of the strings of Python 2.

    Returns:
        The value, and the place where the pickle ends.

    Raises:
        pickle.UnpicklingError: If it is damaged or exceeds a bound. Any other `Exception` is possible too, for a
            program that Python did not write.
    """
    machine = _Machine(program, lookup, persistent, strings)
    return machine.run(begin)


class _Machine:
    """The stack, and a method for each instruction, which gets the place of the instruction's argument."""

    def __init__(self, program: Program, lookup: Lookup, persistent: Callable[[Any], Any] | None, strings: str) -> None:
        self._program, self._lookup, self._persistent, self._strings = program, lookup, persistent, strings
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []
        """The stacks below the marks."""
        self._memo: dict[int, Any] = {}
        self._made: dict[int, tuple[Any, Callable[[Any, Any], None]]] = {}
        """Values that wait for their state, by identity."""
        self._steps, self._text = MAX_STEPS, MAX_TEXT

    def run(self, at: int) -> tuple[Any, int]:
        program, lengths, methods = self._program, LENGTHS, [getattr(self, name, None) for name in METHODS]
        try:
            while True:
                self._charge(1)
                code = program[at]
                length = lengths[code]
                method = methods[code]
                if length is None or method is None:
                    raise UnpicklingError(f"byte {at:,} is not an instruction that data need")
                begin, end = (at + 1, at + 1 + length) if length >= 0 else self._extent(code, length, at + 1)
                if end > len(program):
                    raise IndexError
                at = end
                if code == STOP:
                    return self._stack.pop(), at
                method(begin, end)
        except (IndexError, struct.error) as error:
            raise UnpicklingError("it is cut short, or the lengths in it are not true") from error

    def _charge(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise UnpicklingError(f"it takes more than {MAX_STEPS:,} steps to read, as no file of weights does")

    def _extent(self, code: int, length: int, at: int) -> tuple[int, int]:
        """Return begin and end of an argument: it follows its own length, or extends over one line or two."""
        if length in PREFIXES:
            prefix = PREFIXES[length]
            (count,) = prefix.unpack(self._program[at : at + prefix.size])
            begin = at + prefix.size
            if not 0 <= count <= len(self._program) - begin:
                raise UnpicklingError(f"it claims {count:,} bytes that the file does not have")
            return begin, begin + count
        end = at
        for _ in range(2 if code in TWO_LINES else 1):
            end = self._program.find(b"\n", end) + 1
            if end == 0:
                raise IndexError
        return at, end

    def _take(self, begin: int, end: int) -> bytes | None:
        """Return the bytes of a string; None if there are too many."""
        if end - begin > MAX_STRING:
            return None
        self._text -= end - begin
        if self._text < 0:
            raise UnpicklingError(f"it holds more than {MAX_TEXT >> 20} MB of text, as no file of weights does")
        return bytes(self._program[begin:end])

    def _pop_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    # Values

    def none(self, begin: int, end: int) -> None:
        self._stack.append(None)

    def true(self, begin: int, end: int) -> None:
        self._stack.append(True)

    def false(self, begin: int, end: int) -> None:
        self._stack.append(False)

    def unsigned(self, begin: int, end: int) -> None:
        self._stack.append(int.from_bytes(self._program[begin:end], "little"))

    def signed(self, begin: int, end: int) -> None:
        if end - begin > MAX_INTEGER:
            raise UnpicklingError(f"it has an integer of {end - begin:,} bytes")
        self._stack.append(int.from_bytes(self._program[begin:end], "little", signed=True))

    def decimal(self, begin: int, end: int) -> None:
        if end - begin > 3 * MAX_INTEGER:
            raise UnpicklingError(f"it has an integer of {end - begin:,} digits")
        # In the oldest protocol, False and True are the integers 00 and 01.
        line = self._program[begin : end - 1]
        self._stack.append(line == b"01" if line in (b"00", b"01") else int(line.removesuffix(b"L")))

    def decimal_float(self, begin: int, end: int) -> None:
        self._stack.append(float(self._program[begin : min(end - 1, begin + MAX_STRING)]))

    def binary_float(self, begin: int, end: int) -> None:
        self._stack.append(struct.unpack(">d", self._program[begin:end])[0])

    def bytes(self, begin: int, end: int) -> None:
        taken = self._take(begin, end)
        self._stack.append(Bulk(begin, end) if taken is None else taken)

    def text(self, begin: int, end: int) -> None:
        taken = self._take(begin, end)
        self._stack.append(Bulk(begin, end) if taken is None else str(taken, "utf-8", "surrogatepass"))

    def text_of_python2(self, begin: int, end: int) -> None:
        taken = self._take(begin, end)
        self._stack.append(Bulk(begin, end) if taken is None else str(taken, self._strings))

    def line_of_text(self, begin: int, end: int) -> None:
        taken = self._take(begin, end - 1)
        self._stack.append(Bulk(begin, end) if taken is None else str(taken, "raw-unicode-escape"))

    def quoted_line(self, begin: int, end: int) -> None:
        taken = self._take(begin, end - 1)
        if taken is None:
            self._stack.append(Bulk(begin, end))
            return
        if len(taken) < 2 or taken[:1] != taken[-1:] or taken[:1] not in (b"'", b'"'):
            raise UnpicklingError("it has a string without quotes")
        self._stack.append(str(codecs.escape_decode(taken[1:-1])[0], self._strings))

    # Containers

    def mark(self, begin: int, end: int) -> None:
        self._below.append(self._stack)
        self._stack = []

    def pop_mark(self, begin: int, end: int) -> None:
        self._pop_mark()

    def pop(self, begin: int, end: int) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._pop_mark()

    def duplicate(self, begin: int, end: int) -> None:
        self._stack.append(self._stack[-1])

    def empty_list(self, begin: int, end: int) -> None:
        self._stack.append([])

    def empty_dict(self, begin: int, end: int) -> None:
        self._stack.append({})

    def empty_tuple(self, begin: int, end: int) -> None:
        self._stack.append(())

    def tuple_of_one(self, begin: int, end: int) -> None:
        self._stack[-1] = (self._stack[-1],)

    def tuple_of_two(self, begin: int, end: int) -> None:
        self._stack[-2:] = [(self._stack[-2], self._stack[-1])]

    def tuple_of_three(self, begin: int, end: int) -> None:
        self._stack[-3:] = [(self._stack[-3], self._stack[-2], self._stack[-1])]

    def list_of_all(self, begin: int, end: int) -> None:
        items = self._pop_mark()
        self._stack.append(items)

    def tuple_of_all(self, begin: int, end: int) -> None:
        items = self._pop_mark()
        self._stack.append(tuple(items))

    def dict_of_all(self, begin: int, end: int) -> None:
        items = self._pop_mark()
        made: dict[Any, Any] = {}
        self._stack.append(made)
        put_items(made, items)

    def append(self, begin: int, end: int) -> None:
        item = self._stack.pop()
        extend_list(self._stack[-1], [item])

    def extend(self, begin: int, end: int) -> None:
        items = self._pop_mark()
        extend_list(self._stack[-1], items)

    def put_one(self, begin: int, end: int) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        put_items(self._stack[-1], [key, value])

    def put_all(self, begin: int, end: int) -> None:
        items = self._pop_mark()
        put_items(self._stack[-1], items)

    # The memo

    def get(self, begin: int, end: int) -> None:
        self._recall(int.from_bytes(self._program[begin:end], "little"))

    def get_line(self, begin: int, end: int) -> None:
        self._recall(int(self._program[begin : min(end, begin + MAX_INTEGER)]))

    def _recall(self, place: int) -> None:
        if place not in self._memo:
            raise UnpicklingError("it recalls what it never kept")
        self._stack.append(self._memo[place])

    def keep(self, begin: int, end: int) -> None:
        self._memo[int.from_bytes(self._program[begin:end], "little")] = self._stack[-1]

    def keep_line(self, begin: int, end: int) -> None:
        # The number is only a name here, and a dict of small integers cannot be made slow.
        self._memo[int(self._program[begin : min(end, begin + 10)])] = self._stack[-1]

    def keep_next(self, begin: int, end: int) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    # Objects

    def name_on_lines(self, begin: int, end: int) -> None:
        self._stack.append(self._named_on_lines(begin, end))

    def _named_on_lines(self, begin: int, end: int) -> Any:
        taken = self._take(begin, end)
        if taken is None:
            return UNKNOWN_CONSTRUCTOR
        module, name, _ = taken.split(b"\n")
        return self._lookup(str(module, "utf-8"), str(name, "utf-8"))

    def name_on_stack(self, begin: int, end: int) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        known = isinstance(module, str) and isinstance(name, str)
        self._stack.append(self._lookup(module, name) if known else UNKNOWN_CONSTRUCTOR)

    def call(self, begin: int, end: int) -> None:
        arguments, what = self._stack.pop(), self._stack.pop()
        self._stack.append(self._call(what, arguments))

    def call_with_keywords(self, begin: int, end: int) -> None:
        self._stack.pop()
        self.call(begin, end)

    def call_of_all(self, begin: int, end: int) -> None:
        what, *arguments = self._pop_mark()
        self._stack.append(self._call(what, tuple(arguments)))

    def call_by_lines(self, begin: int, end: int) -> None:
        arguments = tuple(self._pop_mark())
        self._stack.append(self._call(self._named_on_lines(begin, end), arguments))

    def _call(self, what: Any, arguments: Any) -> Any:
        if isinstance(what, Skipped):
            return Skipped()
        if not isinstance(what, Constructor) or not isinstance(arguments, tuple):
            raise UnpicklingError("it calls something that is not a name, or without arguments")
        # Copies cost steps: otherwise every instruction could copy a long list.
        self._charge(sum(len(argument) for argument in arguments if isinstance(argument, list | tuple | dict)))
        made = what.make(*arguments)
        if what.set_state is not None:
            # With the value itself, so that no other object gets its identity.
            self._made[id(made)] = made, what.set_state
        return made

    def set_state(self, begin: int, end: int) -> None:
        state = self._stack.pop()
        owner, set_state = self._made.get(id(self._stack[-1]), (None, None))
        if set_state is not None:
            set_state(owner, state)

    def persistent(self, begin: int, end: int) -> None:
        identity = self._stack.pop()
        self._stack.append(Skipped() if self._persistent is None else self._persistent(identity))

    def nothing(self, begin: int, end: int) -> None:
        """Frames and the protocol's number only help readers to be faster."""
