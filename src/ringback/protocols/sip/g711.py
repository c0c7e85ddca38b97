"""G.711: 16-bit samples to 8 bits, A-law and µ-law. Source: ITU-T G.711 (1988), §3."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Callable
from functools import cache
from typing import Final

_BIAS: Final = 33
_LARGEST: Final = 8191


def encode_alaw(pcm: bytes) -> bytes:
    """Samples (16 bit, little-endian) to A-law, one byte each. Raises ValueError for half a sample."""
    return _encoded(pcm, _alaw)


def encode_ulaw(pcm: bytes) -> bytes:
    """Samples (16 bit, little-endian) to µ-law, one byte each. Raises ValueError for half a sample."""
    return _encoded(pcm, _ulaw)


def _encoded(pcm: bytes, law: Callable[[int], int]) -> bytes:
    samples = array("H")
    samples.frombytes(pcm)
    if sys.byteorder == "big":
        samples.byteswap()
    return bytes(map(_table(law).__getitem__, samples))


@cache
def _table(law: Callable[[int], int]) -> bytes:
    """The code of each sample, by its 16 bits."""
    return bytes(law(bits if bits < 0x8000 else bits - 0x10000) for bits in range(0x10000))


def _alaw(sample: int) -> int:
    """13 bits of magnitude in 8 segments; even bits inverted (Table 1a)."""
    value = sample >> 3
    mask = 0xD5
    if value < 0:
        mask, value = 0x55, -value - 1
    segment = max(0, value.bit_length() - 5)
    step = value >> (segment or 1)
    return ((segment << 4) | (step & 0x0F)) ^ mask


def _ulaw(sample: int) -> int:
    """14 bits with a bias, in 8 segments; all bits inverted (Table 2a)."""
    sign, magnitude = (0x80, ~sample) if sample < 0 else (0, sample)
    value = min((magnitude >> 2) + _BIAS, _LARGEST)
    segment = value.bit_length() - 6
    return ~(sign | (segment << 4) | ((value >> (segment + 1)) & 0x0F)) & 0xFF
