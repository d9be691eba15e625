"""Seeded damage to files, of the kinds that other programs, disks and strangers do to them."""

from __future__ import annotations

import json
import re
from random import Random
from typing import Any

TOKEN = "@@here@@"

JSON_VALUES = (
    "null",
    "true",
    "-1",
    "0",
    "1",
    "1.5",
    "1e999",
    "-0.0",
    "NaN",
    "-Infinity",
    "9223372036854775807",
    "1" + "0" * 40,
    "9" * 5000,
    '""',
    '"a"',
    '"x\\u0000y"',
    '"\\ud800"',
    '"\\u001b[31m[link=http://x]y[/link]\\u202e"',
    '"../../etc/passwd"',
    '"/dev/zero"',
    '"=cmd|1"',
    '"{}"'.format("n" * 5000),
    "[]",
    "{}",
    "[[]]",
    '{"a": {"b": null}}',
    '[null, {"name": 3}]',
    '{"name": 3}',
    '{"a": 1, "a": 2}',
    "[" * 400 + "]" * 400,
    "[" * 100_000,
    '{"a":' * 60 + "1" + "}" * 60,
)
"""Put in the place of any value of a JSON document."""

TOML_VALUES = (
    "nan",
    "-inf",
    "-1",
    "0",
    "1e308",
    "9" * 30,
    "9" * 5000,
    "true",
    '""',
    "'../x'",
    '"\\u0000"',
    '"\\u001b[2J"',
    "[]",
    "{}",
    "1979-05-27",
    "[" * 400 + "]" * 400,
    "[" * 50_000,
    "{a = 1, a = 2}",
    "'" + "n" * 5000 + "'",
    "[[1]]",
    "{a = {b = 1}}",
    "",
)

CSV_VALUES = (
    "nan",
    "inf",
    "-1",
    "-0.0",
    "1.5",
    "1e-320",
    "9" * 500,
    "",
    "\x00",
    "\x1b[31m",
    "=1+1",
    "fog",
    "clean",
    "0",
    "6",
    '"',
    "n" * 200_000,
    "0.5,0.5",
    "１",
    "\ud7ff",
    "1_0",
    "0x1",
)


def damaged_bytes(random: Random, content: bytes) -> bytes:
    """The same, cut, with bytes changed, swapped or doubled, or in another encoding."""
    place = random.randrange(len(content) or 1)
    other = random.randrange(len(content) or 1)
    low, high = sorted((place, other))
    text = content.decode("utf-8", "replace")
    choices = (
        lambda: content[:place],
        lambda: content[place:],
        lambda: content[:place] + bytes([random.randrange(256)]) + content[place + 1 :],
        lambda: (
            content[:low]
            + content[high : high + 8]
            + content[low + 8 : high]
            + content[low : low + 8]
            + content[high + 8 :]
        ),
        lambda: content[:low] + content[low:high] * 2 + content[high:],
        lambda: content[:place] + b"\x00" * 8 + content[place:],
        lambda: b"\xef\xbb\xbf" + content,
        lambda: text.encode("utf-16"),
        lambda: text.replace("\n", "\r\n").encode(),
        lambda: b"",
        lambda: content + b"\xff\xfe trailing",
    )
    return random.choice(choices)()


def damaged_json(random: Random, content: Any) -> bytes:
    """A document with one or two values replaced, dropped, doubled or moved, and sometimes bytes damaged."""
    text = json.dumps(content)
    for _ in range(random.choice((1, 1, 1, 2))):
        try:
            loaded = json.loads(text)
        except (ValueError, RecursionError):
            break
        text = _once(random, loaded)
    raw = text.encode("utf-8", "surrogatepass")
    return damaged_bytes(random, raw) if random.random() < 0.15 else raw


def _once(random: Random, content: Any) -> str:
    places = list(_places(content))
    if not places:
        return random.choice(JSON_VALUES)
    holder, key = random.choice(places)
    kind = random.randrange(6)
    if kind == 0 and isinstance(holder, dict):
        del holder[key]
        return json.dumps(content)
    if kind == 1 and isinstance(holder, list):
        random.choice((holder.pop, lambda at: holder.insert(at, holder[at]), lambda at: holder.reverse()))(key)
        return json.dumps(content)
    if kind == 2 and isinstance(holder, dict):
        holder[f"{key}x"] = holder.pop(key)
        return json.dumps(content)
    if kind == 3 and isinstance(holder, dict):
        inner = json.dumps(holder[key])
        holder[key] = TOKEN
        return json.dumps(content).replace(f'"{TOKEN}"', f'{inner}, "{key}": {random.choice(JSON_VALUES)}')
    if kind == 4 and isinstance(holder[key], int) and not isinstance(holder[key], bool):
        holder[key] += random.choice((-1, 1, 7, -10_000, 2**40))
        return json.dumps(content)
    holder[key] = TOKEN
    return json.dumps(content).replace(f'"{TOKEN}"', random.choice(JSON_VALUES))


def _places(value: Any) -> Any:
    """Every (container, key) of a document."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def damaged_toml(random: Random, text: str) -> bytes:
    """A document with a value replaced, or a line dropped, doubled or renamed, and sometimes bytes damaged."""
    lines = text.splitlines()
    for _ in range(random.choice((1, 1, 2))):
        at = random.randrange(len(lines))
        kind = random.randrange(5)
        if kind == 0:
            del lines[at]
        elif kind == 1:
            lines.insert(at, lines[at])
        elif kind == 2:
            lines[at] = lines[at].replace("=", "x =", 1)
        else:
            lines[at] = re.sub(r"= .*$", lambda _: f"= {random.choice(TOML_VALUES)}", lines[at])
        lines = lines or [""]
    raw = "\n".join(lines).encode()
    return damaged_bytes(random, raw) if random.random() < 0.2 else raw


def damaged_csv(random: Random, text: str) -> bytes:
    """A table with a field replaced, or a line or column dropped or doubled, and sometimes bytes damaged."""
    rows = [line.split(",") for line in text.splitlines()]
    row = random.choice(rows)
    kind = random.randrange(5)
    if kind == 0:
        rows.remove(row)
    elif kind == 1:
        rows.append(row)
    elif kind == 2:
        row.pop(random.randrange(len(row)))
    else:
        row[random.randrange(len(row))] = random.choice(CSV_VALUES)
    raw = "\n".join(",".join(fields) for fields in rows).encode("utf-8", "surrogatepass")
    return damaged_bytes(random, raw) if random.random() < 0.2 else raw


NPY_HEADERS = (
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 3), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (-4, -3), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (9999999999999999999999, 0), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (4294967296, 4294967296, 0), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (True, True), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': (), }",
    "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '<U99999999', 'fortran_order': False, 'shape': (2,), }",
    "{'descr': '|V0', 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': [('a', '<i8', (2, 3))], 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': [('a', '<i8'), ('a', '<i8')], 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': [1, 2], 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': [], 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': 7, 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': '<M8[99999999999999999999ns]', 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': '|u1', 'fortran_order': 0, 'shape': (2, 3), }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': [2, 3], }",
    "{'descr': '|u1', 'fortran_order': False, 'shape': 2, }",
    "{1: 2, 'a': 3}",
    "{'descr': '|u1'",
    "'",
    '"""',
    "{'a': '\\x00'}",
    "\x00\x00",
    "(" * 3000,
    "[" * 200 + "]" * 200,
    "-" * 5000 + "1",
    "9" * 5000,
    "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "1, " * 70 + "), }",
    "lambda: 0",
    "{**{}}",
    "{[]: 1}",
)
"""In the place of the text that says what an array is, which NumPy reads as Python."""


def damaged_npy(random: Random, content: bytes) -> bytes:
    """An array's file with another header, or another version, or bytes damaged."""
    kind = random.randrange(5)
    if kind == 0:
        return damaged_bytes(random, content)
    if kind == 1:
        return content[:6] + bytes([random.choice((0, 1, 2, 3, 4, 255)), random.choice((0, 1))]) + content[8:]
    begin = 10 + int.from_bytes(content[8:10], "little")
    header = random.choice(NPY_HEADERS).encode("latin-1") + b"\n"
    return content[:8] + len(header).to_bytes(2, "little") + header + content[begin:]
