"""Arrow columns and cells of text, as numbers. What cannot be read becomes MALFORMED_TIME or NaN, never an error.

A time is one of these:

- ISO 8601 text: `2024-01-02T14:30:00Z`, with `T` or a space, to the minute or finer, with `Z` or an offset. Text without
  a zone is taken as UTC.
- An Arrow timestamp or date of any unit; without a time zone it is taken as UTC.
- A plain number since 1970 UTC. Seconds, milliseconds, microseconds or nanoseconds are told by magnitude: the one that gives a
  time between 1980 and 2262 counts (the four ranges do not overlap). Anything else, 20240102 or 202401021430 for
  example, is no time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from stratd.data.block import MALFORMED_TIME
from stratd.feeds.rows import SymbolCodes

_SCALES: Final = (1_000_000_000, 1_000_000, 1_000, 1)
_UNIT_NS: Final = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_FIRST_NS: Final = 315_532_800_000_000_000  # 1980-01-01
_LAST_NS: Final = 2**63 - 1
_ISO: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+)?(Z|[+-][0-9:]+)?", re.ASCII)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)


def is_time_type(kind: Any) -> bool:
    """Whether a column of this Arrow type can hold times."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind) or is_number_type(kind))


def is_number_type(kind: Any) -> bool:
    """Whether a column of this Arrow type can hold prices."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    return bool(plain or is_text_type(kind))


def is_text_type(kind: Any) -> bool:
    """Whether a column of this Arrow type holds text."""
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_name_type(kind: Any) -> bool:
    """Whether a column of this Arrow type can hold symbols."""
    return is_text_type(kind) or bool(pa.types.is_integer(kind) or pa.types.is_null(kind))


def numbers(column: Any) -> NDArray[np.float64]:
    """An Arrow array as float64 that the caller owns; null and what is no number become NaN."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text_type(column.type):
        return numbers_of_text([cell or "" for cell in _texts(column)])
    if not pa.types.is_float64(column.type):
        column = pc.cast(column, pa.float64(), safe=False)
    if column.null_count:
        column = pc.fill_null(column, float("nan"))
    return np.array(column.to_numpy(zero_copy_only=False), dtype=np.float64)


def times(column: Any) -> NDArray[np.int64]:
    """An Arrow array as int64 ns UTC that the caller owns."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    kind = column.type
    if is_text_type(kind):
        return times_of_text([cell or "" for cell in _texts(column)])
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind):
        return _times_of_floats(numbers(column))
    if pa.types.is_date(kind):
        column = pc.cast(column, pa.timestamp("s" if pa.types.is_date32(kind) else "ms"))
    unit = column.type.unit if pa.types.is_timestamp(column.type) else None
    raw = pc.cast(column, pa.int64(), safe=False)
    null = None
    if raw.null_count:
        null = raw.is_null().to_numpy(zero_copy_only=False)
        raw = pc.fill_null(raw, 0)
    stamps = raw.to_numpy(zero_copy_only=False)
    found = times_of_integers(stamps) if unit is None else _scaled(stamps, _UNIT_NS[unit])
    if null is not None:
        found[null] = MALFORMED_TIME
    return found


def codes(column: Any, table: SymbolCodes) -> NDArray[np.int32]:
    """An Arrow array of symbols as codes; null is the empty symbol, which is unknown."""
    if not pa.types.is_dictionary(column.type):
        column = pc.dictionary_encode(column if is_text_type(column.type) else pc.cast(column, pa.string()))
    names = np.array([table.code(text or "") for text in _texts(column.dictionary)] or [0], dtype=np.int32)
    picks = column.indices
    if picks.null_count or column.null_count:
        missing = column.is_null().to_numpy(zero_copy_only=False)
        found: NDArray[np.int32] = names[pc.fill_null(pc.cast(picks, pa.int64()), 0).to_numpy(zero_copy_only=False)]
        found[missing] = table.code("")
        return found
    whole: NDArray[np.int32] = names[picks.to_numpy(zero_copy_only=False)]
    return whole


def times_of_integers(stamps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Plain integers as ns, the unit told by magnitude (see the module's docstring)."""
    if not len(stamps):
        return np.empty(0, np.int64)
    low, high = int(stamps.min()), int(stamps.max())
    for scale in _SCALES:
        if _FIRST_NS // scale <= low and high <= _LAST_NS // scale:
            return stamps * np.int64(scale)
    found = np.full(len(stamps), MALFORMED_TIME)
    for scale in _SCALES:
        fits = (stamps >= _FIRST_NS // scale) & (stamps <= _LAST_NS // scale)
        found[fits] = stamps[fits] * scale
    return found


def times_of_text(cells: Sequence[str]) -> NDArray[np.int64]:
    """Cells as ns: ISO 8601 or plain numbers."""
    found = np.full(len(cells), MALFORMED_TIME)
    zoned: list[int] = []
    bare: list[int] = []
    texts = [cell.strip() for cell in cells]
    for row, text in enumerate(texts):
        if match := _ISO.fullmatch(text):
            (bare if match[1] is None else zoned).append(row)
        elif _INTEGER.fullmatch(text):
            stamp = int(text)
            found[row] = next((stamp * s for s in _SCALES if _FIRST_NS // s <= stamp <= _LAST_NS // s), MALFORMED_TIME)
        elif text:
            found[row] = _times_of_floats(numbers_of_text([text]))[0]
    for rows, kind in ((zoned, pa.timestamp("ns", "UTC")), (bare, pa.timestamp("ns"))):
        if rows:
            found[rows] = _parsed([texts[row] for row in rows], kind)
    return found


def numbers_of_text(cells: Sequence[str]) -> NDArray[np.float64]:
    """Cells as float64, correctly rounded; NaN where a cell is no plain decimal number."""
    found = np.full(len(cells), np.nan)
    for row, cell in enumerate(cells):
        if "_" not in cell and cell.isascii():  # Python reads 1_000 and digits of other scripts; no bar file means that
            try:
                found[row] = float(cell)
            except ValueError:
                continue
    return found


def _parsed(texts: list[str], kind: Any) -> NDArray[np.int64]:
    # The same parser as the typed path has, so that a cell means the same in both. It refuses a whole array for one bad cell.
    try:
        return np.array(pa.array(texts).cast(kind).cast(pa.int64()).to_numpy())
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return np.array([MALFORMED_TIME])
        middle = len(texts) // 2
        return np.concatenate([_parsed(texts[:middle], kind), _parsed(texts[middle:], kind)])


def _times_of_floats(stamps: NDArray[np.float64]) -> NDArray[np.int64]:
    # A float carries a time since 1970 to about a microsecond: whole and fraction apart, so that whole units are exact.
    found = np.full(len(stamps), MALFORMED_TIME)
    for scale in _SCALES:
        fits = (stamps >= _FIRST_NS // scale) & (stamps < _LAST_NS // scale)  # False for NaN
        whole = np.floor(stamps[fits])
        micros = np.rint((stamps[fits] - whole) * (scale / 1_000)).astype(np.int64)
        found[fits] = whole.astype(np.int64) * scale + micros * 1_000
    return found


def _scaled(stamps: NDArray[np.int64], scale: int) -> NDArray[np.int64]:
    if scale == 1:
        return np.array(stamps)
    limit = _LAST_NS // scale
    found = stamps * np.int64(scale)
    wrong = (stamps > limit) | (stamps < -limit)
    if wrong.any():
        found[wrong] = MALFORMED_TIME
    return found


def _texts(column: Any) -> list[str | None]:
    # Through bytes: a file may hold text that is not UTF-8, and that is no reason to stop.
    cells = pc.cast(column, pa.large_binary()).to_pylist()
    return [None if cell is None else cell.decode("utf-8", "replace") for cell in cells]
