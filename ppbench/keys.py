"""Keys: numbers of 64 bits that depend on a text alone and are the same on every machine."""

from __future__ import annotations

import hashlib


def hash64(text: bytes) -> int:
    """Return the first 8 bytes of the text's BLAKE2b hash, low byte first."""
    return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
