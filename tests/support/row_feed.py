"""A HistoryFeed over lists of rows, merged and cut as the port's contract says."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np

from stratd.data.block import MALFORMED_TIME, UNKNOWN_SYMBOL, BarBlock
from stratd.testing.bars import BarRow

MINUTE_NS = 60_000_000_000


def merged(sources: Sequence[Sequence[BarRow]], symbols: Sequence[str]) -> list[BarRow]:
    """Rows of several sources by time, then by the order of `symbols`; one that is out of order stays behind its predecessor."""
    ranks = {symbol: rank for rank, symbol in enumerate(symbols)}
    keyed = []
    for number, rows in enumerate(sources):
        reached = MALFORMED_TIME
        rank = 0
        for row in rows:
            if row.open_time >= reached:
                reached, rank = row.open_time, ranks.get(row.symbol, len(ranks))
            keyed.append(((reached, rank, number), row))
    return [row for _, row in sorted(keyed, key=lambda pair: pair[0])]


class RowFeed:
    """Gives rows that stand in feed order (see `merged`) in blocks of whole minutes."""

    sources: Sequence[str] = ("rows",)

    def __init__(self, rows: Sequence[BarRow]) -> None:
        self._rows = list(rows)

    def open(self, symbols: Sequence[str]) -> None:
        self._codes = {symbol: code for code, symbol in enumerate(symbols)}
        reached = MALFORMED_TIME
        minutes = []
        for number, row in enumerate(self._rows):
            reached = max(reached, row.open_time)
            minutes.append((reached // MINUTE_NS, number))
        self._minutes = [[number for _, number in group] for _, group in groupby(minutes, key=lambda pair: pair[0])]
        self._next = 0

    def next_block(self, max_minutes: int, max_rows: int) -> BarBlock | None:
        taken: list[int] = []
        first = self._next
        while self._next < len(self._minutes) and self._next - first < max_minutes:
            minute = self._minutes[self._next]
            if taken and len(taken) + len(minute) > max_rows:
                break
            taken += minute
            self._next += 1
        if not taken:
            return None
        rows = [self._rows[number] for number in taken]
        codes = [self._codes.get(row.symbol, UNKNOWN_SYMBOL) for row in rows]
        return BarBlock(
            np.array([row.open_time for row in rows], np.int64),
            np.array(codes, np.int32),
            *(np.array([row[2 + field] for row in rows], np.float64) for field in range(5)),
            source=np.zeros(len(rows), np.int32),
            line=np.array(taken, np.int64) + 1,
            unknown={at: row.symbol for at, row in enumerate(rows) if codes[at] == UNKNOWN_SYMBOL},
        )

    def progress(self) -> float | None:
        return self._next / max(1, len(self._minutes))

    def close(self) -> None:
        pass
