from __future__ import annotations

import struct
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.data import audit
from stratd.data.audit import SEED, fingerprint, mix

CONSTANTS = [getattr(audit, f"_C{i}") for i in range(8)]

word = st.integers(0, 2**64 - 1)
number = st.floats(0, 1e18)
count = st.integers(0, 2**31 - 1)
rows = st.tuples(st.integers(0, 2**62), number, number, number, number, number, count, count, count, count)


def plain_mix(state: int, other: int) -> int:
    """The hash's step on Python's integers."""
    state = (state ^ other) * 0x9E3779B97F4A7C15 % 2**64
    state ^= state >> 29
    state = state * 0xC2B2AE3D27D4EB4F % 2**64
    return state ^ state >> 32


def plain_fingerprint(row: tuple[Any, ...]) -> int:
    open_time, *numbers, n, lost, quiet, flags = row
    bits = [struct.unpack("<Q", struct.pack("<d", one))[0] for one in numbers]
    words = (open_time, *bits, n | lost << 32, quiet | flags << 32)
    return plain_mix(SEED, sum((one ^ one >> 29) * constant for one, constant in zip(words, CONSTANTS, strict=True)) % 2**64)


@given(word, word)
def test_mix_compiled_and_as_python_is_the_step_on_plain_integers(state: int, other: int) -> None:
    with np.errstate(over="ignore"):
        found = int(mix.function(np.uint64(state), np.uint64(other)))
    assert found == int(mix.load()(np.uint64(state), np.uint64(other))) == plain_mix(state, other)


@given(word, word, st.integers(0, 63))
def test_mix_any_other_bit_gives_another_state(state: int, other: int, bit: int) -> None:
    assert plain_mix(state, other) != plain_mix(state, other ^ 1 << bit)
    assert plain_mix(state, other) != plain_mix(state ^ 1 << bit, other)


@settings(deadline=None)
@given(rows)
def test_fingerprint_compiled_and_as_python_is_that_of_the_rows_bits(row: tuple[Any, ...]) -> None:
    with np.errstate(over="ignore"):
        found = int(fingerprint.function(*row))
    assert found == int(fingerprint.load()(*row)) == plain_fingerprint(row)


@given(rows, st.integers(0, 9))
def test_fingerprint_another_cell_is_another_fingerprint(row: tuple[Any, ...], cell: int) -> None:
    value = row[cell]
    other = float(np.nextafter(value, np.inf)) if isinstance(value, float) else value ^ 1
    changed = (*row[:cell], other, *row[cell + 1 :])
    assert fingerprint.load()(*changed) != fingerprint.load()(*row)


def test_constants_are_odd_and_differ() -> None:
    assert all(constant % 2 for constant in CONSTANTS)
    assert len(set(CONSTANTS)) == 8


def test_fingerprint_does_not_take_one_cell_for_another() -> None:
    call = fingerprint.load()
    cells = [call(0, *[2.0 if i == at else 1.0 for i in range(5)], 0, 0, 0, 0) for at in range(5)]
    cells += [call(0, 1.0, 1.0, 1.0, 1.0, 1.0, *[int(i == at) for i in range(4)]) for at in range(4)]
    assert len(set(cells)) == 9
