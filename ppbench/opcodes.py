"""The instructions of pickles that data need: the lengths of their arguments, and the method of each."""

from __future__ import annotations

import pickletools
import struct

LENGTHS: list[int | None] = [None] * 256
"""Length of each instruction's argument in bytes, or pickletools' negative number for its kind; None: unknown."""

PREFIXES = {-2: struct.Struct("<B"), -3: struct.Struct("<i"), -4: struct.Struct("<I"), -5: struct.Struct("<Q")}
"""Format of the length before an argument, by pickletools' numbers."""

for _opcode in pickletools.opcodes:
    LENGTHS[ord(_opcode.code)] = 0 if _opcode.arg is None else _opcode.arg.n

_NAMES = {
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
STOP, TWO_LINES = _CODES["STOP"], (_CODES["GLOBAL"], _CODES["INST"])
_OF_CODE = {_CODES[name]: method for method, names in _NAMES.items() for name in names.split()}
METHODS = [_OF_CODE.get(code, "") for code in range(256)]
