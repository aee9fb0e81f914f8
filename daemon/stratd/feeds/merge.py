"""Rows of many sources, in one order: effective time, then the session's symbols, then sources, then rows as they stand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from stratd.data.block import UNKNOWN_SYMBOL, BarBlock
from stratd.feeds.rows import SymbolCodes
from stratd.feeds.source import Part, SourceCursor

T = TypeVar("T", bound=np.generic)
Taken = list[tuple[Part, int, int]]
Piece = tuple[SourceCursor, Part, int, int]
_NARROW_MINUTES: Final = 1 << 16
_MOST_BINS: Final = 1 << 22


def end_of_block(minutes: Sequence[NDArray[np.int64]], max_minutes: int, max_rows: int) -> tuple[int, bool]:
    """Where a block of whole minutes ends.

    Args:
        minutes: minutes of the rows at hand, by part.
        max_minutes: most different minutes in a block.
        max_rows: most rows in a block; a block has one minute at least, whatever its rows.

    Returns:
        The first minute that is not in the block, and whether one of the limits was reached (else all rows are in it).
    """
    base = min(int(part[0]) for part in minutes)
    span = max(int(part[-1]) for part in minutes) - base + 1
    every = minutes[0] if len(minutes) == 1 else np.concatenate(minutes)
    if span <= _MOST_BINS:
        bins = np.bincount(every - base, minlength=1)
        distinct = np.flatnonzero(bins)
        rows = np.cumsum(bins[distinct])
        distinct = distinct + base
    else:  # a few rows over decades
        distinct, counts = np.unique(every, return_counts=True)
        rows = np.cumsum(counts)
    fitting = max(1, min(max_minutes, int(np.searchsorted(rows, max_rows, side="right"))))
    if fitting < len(distinct):
        return int(distinct[fitting]), True
    return int(distinct[-1]) + 1, fitting >= max_minutes or int(rows[-1]) >= max_rows


def merged(sources: Sequence[SourceCursor], taken: Sequence[Taken], codes: SymbolCodes) -> BarBlock:
    """One block of the rows that were taken from each source.

    Args:
        sources: those that rows were taken from, in the order of their symbols, then of their places.
        taken: for each of them, its rows.
        codes: of the symbols.
    """
    pieces = [(source, part, start, stop) for source, one in zip(sources, taken, strict=True) for part, start, stop in one]
    symbol = _joined([part.symbol[start:stop] for _, part, start, stop in pieces])
    source = _joined([np.full(stop - start, cursor.index, np.int32) for cursor, _, start, stop in pieces])
    line = _joined([part.line[start:stop] for _, part, start, stop in pieces])
    open_time = _joined([part.open_time[start:stop] for _, part, start, stop in pieces])
    values = [_joined([part.values[i][start:stop] for _, part, start, stop in pieces]) for i in range(5)]
    order = _order(sources, pieces, symbol, codes)
    if order is not None:
        symbol, source, line, open_time = symbol[order], source[order], line[order], open_time[order]
        values = [value[order] for value in values]
    unknown: dict[int, str] = {}
    if codes.unknown:
        rows = np.flatnonzero(symbol < 0)
        unknown = {row: codes.text(code) for row, code in zip(rows.tolist(), symbol[rows].tolist(), strict=True)}
        symbol = np.maximum(symbol, np.int32(UNKNOWN_SYMBOL))
    return BarBlock(
        open_time, symbol, values[0], values[1], values[2], values[3], values[4], source=source, line=line, unknown=unknown
    )


def _order(
    sources: Sequence[SourceCursor], pieces: Sequence[Piece], symbol: NDArray[np.int32], codes: SymbolCodes
) -> NDArray[np.int64] | None:
    """The stable order of the rows; None where they are in it already."""
    several = any(source.several for source in sources)
    if len(sources) == 1 and not several:
        return None
    time = _joined([part.time[start:stop] for _, part, start, stop in pieces])
    if several:
        rank = codes.ranks(symbol)
        if len(sources) == 1:
            back = (time[1:] == time[:-1]) & (rank[1:] < rank[:-1])
            if not back.any():
                return None
        else:
            place = _joined([np.full(stop - start, cursor.index, np.int32) for cursor, _, start, stop in pieces])
            return np.lexsort((place, rank, time))
        return np.lexsort((rank, time))
    # One symbol each, and the pieces stand in the order of symbols: only time is left to sort by. Sixteen bits mostly say
    # which minute, and numpy sorts those by radix, several times as fast.
    minute = _joined([part.minute[start:stop] for _, part, start, stop in pieces])
    base = int(minute.min())
    if int(minute.max()) - base < _NARROW_MINUTES:
        return np.argsort((minute - base).astype(np.uint16), kind="stable")
    return np.argsort(time, kind="stable")


def _joined(arrays: list[NDArray[T]]) -> NDArray[T]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
