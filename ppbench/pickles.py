"""Pickles read as data: nothing in one is imported or run, and no size that it claims is believed.

A pickle is a program for a machine with a stack, which may import and call whatever it likes. This machine knows the
names that its caller allows; any other becomes a `Skipped` object, which only holds data. What a program can cost is
bounded by rules for all instructions alike, not by a list of attacks:

- it has a budget of steps, from which every instruction, and every item of what a constructor copies, is taken;
- no length that it claims goes beyond the file, and long strings are not read but noted as `Bulk`;
- dicts keep the entries under strings and bytes alone, whose hashes cannot be forged; sets come as lists;
- only dicts and lists are written into, so that no operator of another class is ever called.
"""

from __future__ import annotations

import codecs
import pickletools
import struct
from collections.abc import Callable
from mmap import mmap
from pickle import UnpicklingError
from typing import Any, ClassVar, NamedTuple

MAX_STEPS = 600_000
"""A ResNet-50, its average and the state of AdamW take 37,000; reading this many takes about half a second."""

MAX_STRING, MAX_TEXT = 1 << 16, 1 << 24
"""Bytes of the longest string that is read, and of all that are."""

MAX_INTEGER = 32
"""Bytes of the longest integer that is read."""

Program = bytes | bytearray | mmap


class Bulk(NamedTuple):
    """Stands for a long string or long bytes: where in the program they lie."""

    begin: int
    end: int


class Skipped(dict[Any, Any]):
    """Stands for an object of a class that is not known here. Its items are kept as data, nothing runs."""

    __slots__ = ()


class Constructor(NamedTuple):
    """A function that a name in a pickle may stand for: it makes a value of its arguments."""

    make: Callable[..., Any]
    set_state: Callable[[Any, Any], None] | None = None
    """Called with a value it made and the state that follows it; None: the state is dropped."""


UNKNOWN_CONSTRUCTOR = Constructor(lambda *_: Skipped())
"""Stands for every name that is not allowed."""

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
        program: What holds it; what follows it is not read.
        lookup: What names stand for.
        persistent: From what pickle calls a persistent id to its value; None: they are `Skipped`.
        begin: Where it begins.
        strings: Encoding of the strings of Python 2.

    Returns:
        The value, and where the pickle ends.

    Raises:
        pickle.UnpicklingError: If it is damaged or over one of the bounds. Other errors are possible: what a program
            does that was never written by Python may end in any `Exception`.
    """
    machine = _Machine(program, lookup, persistent, strings)
    return machine.run(begin)


_LENGTHS: list[int | None] = [None] * 256
"""Length of each instruction's argument in bytes, or pickletools' negative number for its kind; None: unknown."""

_PREFIXES = {-2: struct.Struct("<B"), -3: struct.Struct("<i"), -4: struct.Struct("<I"), -5: struct.Struct("<Q")}
"""Form of the length that stands before an argument, by pickletools' numbers."""

for _opcode in pickletools.opcodes:
    _LENGTHS[ord(_opcode.code)] = 0 if _opcode.arg is None else _opcode.arg.n


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
        program, lengths, methods = self._program, _LENGTHS, [getattr(self, name, None) for name in _METHODS]
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
                if code == _STOP:
                    return self._stack.pop(), at
                method(begin, end)
        except (IndexError, struct.error) as error:
            raise UnpicklingError("it is cut short, or the lengths in it are not true") from error

    def _charge(self, steps: int) -> None:
        self._steps -= steps
        if self._steps < 0:
            raise UnpicklingError(f"it takes more than {MAX_STEPS:,} steps to read, as no file of weights does")

    def _extent(self, code: int, length: int, at: int) -> tuple[int, int]:
        """Begin and end of an argument: it follows its own length, or goes up to the end of one line or of two."""
        if length in _PREFIXES:
            prefix = _PREFIXES[length]
            (count,) = prefix.unpack(self._program[at : at + prefix.size])
            begin = at + prefix.size
            if not 0 <= count <= len(self._program) - begin:
                raise UnpicklingError(f"it claims {count:,} bytes that the file does not have")
            return begin, begin + count
        end = at
        for _ in range(2 if code in _TWO_LINES else 1):
            end = self._program.find(b"\n", end) + 1
            if end == 0:
                raise IndexError
        return at, end

    def _take(self, begin: int, end: int) -> bytes | None:
        """The bytes of a string; None if there are too many."""
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
        _put(made, items)

    def append(self, begin: int, end: int) -> None:
        item = self._stack.pop()
        _extend(self._stack[-1], [item])

    def extend(self, begin: int, end: int) -> None:
        items = self._pop_mark()
        _extend(self._stack[-1], items)

    def put_one(self, begin: int, end: int) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        _put(self._stack[-1], [key, value])

    def put_all(self, begin: int, end: int) -> None:
        items = self._pop_mark()
        _put(self._stack[-1], items)

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
        # The number is no more than a name here, and dicts of small integers cannot be made slow.
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
        # What is copied is paid for: else a list could be copied by every instruction.
        self._charge(sum(len(argument) for argument in arguments if isinstance(argument, list | tuple | dict)))
        made = what.make(*arguments)
        if what.set_state is not None:
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
        """Frames and the protocol's number are for readers in a hurry."""

    NAMES: ClassVar[dict[str, str]] = {
        "none": "NONE", "true": "NEWTRUE", "false": "NEWFALSE", "unsigned": "BININT1 BININT2",
        "signed": "BININT LONG1 LONG4", "decimal": "INT LONG", "decimal_float": "FLOAT", "binary_float": "BINFLOAT",
        "bytes": "BINBYTES SHORT_BINBYTES BINBYTES8 BYTEARRAY8", "text": "BINUNICODE SHORT_BINUNICODE BINUNICODE8",
        "text_of_python2": "BINSTRING SHORT_BINSTRING", "line_of_text": "UNICODE", "quoted_line": "STRING",
        "mark": "MARK", "pop_mark": "POP_MARK", "pop": "POP", "duplicate": "DUP", "empty_list": "EMPTY_LIST EMPTY_SET",
        "empty_dict": "EMPTY_DICT", "empty_tuple": "EMPTY_TUPLE", "tuple_of_one": "TUPLE1", "tuple_of_two": "TUPLE2",
        "tuple_of_three": "TUPLE3", "tuple_of_all": "TUPLE", "list_of_all": "LIST FROZENSET", "dict_of_all": "DICT",
        "append": "APPEND", "extend": "APPENDS ADDITEMS", "put_one": "SETITEM", "put_all": "SETITEMS",
        "get": "BINGET LONG_BINGET", "get_line": "GET", "keep": "BINPUT LONG_BINPUT", "keep_line": "PUT",
        "keep_next": "MEMOIZE", "name_on_lines": "GLOBAL", "name_on_stack": "STACK_GLOBAL", "call": "REDUCE NEWOBJ",
        "call_with_keywords": "NEWOBJ_EX", "call_of_all": "OBJ", "call_by_lines": "INST", "set_state": "BUILD",
        "persistent": "BINPERSID", "nothing": "PROTO FRAME STOP",
    }  # fmt: skip
    """The instructions, by pickletools' names, of each method. The others, for code and shared memory, are refused."""


_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}
_STOP, _TWO_LINES = _CODES["STOP"], (_CODES["GLOBAL"], _CODES["INST"])
_OF_CODE = {_CODES[name]: method for method, names in _Machine.NAMES.items() for name in names.split()}
_METHODS = [_OF_CODE.get(code, "") for code in range(256)]


def _extend(target: Any, items: list[Any]) -> None:
    if type(target) is list:
        target.extend(items)
    elif not isinstance(target, Skipped):
        raise UnpicklingError("it appends to something that is not a list")


def _put(target: Any, items: list[Any]) -> None:
    """Set keys and values, one after another in ``items``."""
    if not isinstance(target, dict) or len(items) % 2:
        raise UnpicklingError("it sets items of something that is not a dict, or a key without a value")
    for place in range(0, len(items), 2):
        if type(items[place]) in (str, bytes):
            target[items[place]] = items[place + 1]


def make_dict(*arguments: Any) -> dict[Any, Any]:
    """For ``collections.OrderedDict``, of nothing or of a list of pairs, as Python 2 wrote it."""
    made: dict[Any, Any] = {}
    for pairs in arguments[:1]:
        if not isinstance(pairs, list):
            raise UnpicklingError("it makes a dict of something that is not a list of pairs")
        for pair in pairs:
            if not isinstance(pair, list | tuple) or len(pair) != 2:
                raise UnpicklingError("it makes a dict of something that is not a list of pairs")
            _put(made, list(pair))
    return made
