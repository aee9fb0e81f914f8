"""SourceCursor: one file's rows on their way into the merge."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.data.block import MALFORMED_TIME
from stratd.errors import FeedError
from stratd.feeds.order import OrderCheck
from stratd.feeds.rows import RawRows, RowReader, SymbolCodes
from stratd.model.interval import MINUTE_NS

HEAD_ROWS: Final = 1_000
"""Rows of a file that are looked at when it is opened."""
_TIMELESS_ROWS: Final = 10_000
_NEVER: Final = -(2**62)


@dataclass(slots=True)
class Part:
    """Rows that wait to be merged. All arrays have one length; none is shared with another part.

    Attributes:
        time: int64 ns, effective time: the running maximum of the minutes that the rows' times lie in. Never decreases.
        minute: `time` in whole minutes since 1970.
        symbol: int32 codes (see `SymbolCodes`).
        line: int64 row numbers in the source, from 1.
    """

    time: NDArray[np.int64]
    minute: NDArray[np.int64]
    open_time: NDArray[np.int64]
    symbol: NDArray[np.int32]
    values: tuple[NDArray[np.float64], ...]
    line: NDArray[np.int64]
    share: float

    def __len__(self) -> int:
        return len(self.time)


class SourceCursor:
    """Reads one file ahead, gives each row its effective time, and knows up to which minute its rows are complete.

    The effective time of a row is the running maximum of the times of the rows that are given out. A malformed time, or one
    after `future_ns`, counts as that of the row before it; where there is none, as the next good one.

    Attributes:
        index: place among the feed's sources.
        several: whether the file holds many symbols.
        last_minute: minute of the last row that has been read.
        error: why the file cannot be read any further; the rows before that place are given out first.
    """

    def __init__(
        self,
        index: int,
        where: str,
        reader: RowReader,
        codes: SymbolCodes,
        symbol: str | None,
        shift_ns: int,
        span: tuple[int, int],
        future_ns: int,
    ) -> None:
        if symbol is None and not reader.has_symbols:
            reader.close()
            raise FeedError(where, "has no column 'symbol', and the session does not say whose bars these are; name its symbol")
        self.index = index
        self.where = where
        self.several = symbol is None
        self.error: FeedError | None = None
        self.done = False
        self.last_minute = _NEVER
        self.code = 0 if symbol is None else codes.code(symbol)
        self._reader = reader
        self._shift_ns = shift_ns
        self._span = span
        self._future_ns = future_ns
        self._order = OrderCheck(where, codes, symbol)
        self._parts: deque[Part] = deque()
        self._start = 0  # first row of the first part that has not been given out
        self._rows = 0
        self._latest: int | None = None  # greatest effective time so far
        self._previous: int | None = None  # time of the last row that had one
        self._given_share = 0.0

    @property
    def waiting(self) -> bool:
        """Whether rows wait to be given out."""
        return bool(self._parts)

    @property
    def first_minute(self) -> int:
        """Minute of the first row that waits."""
        return int(self._parts[0].minute[self._start])

    @property
    def share(self) -> float:
        """How much of the file has been given out, 0 to 1."""
        if not self._parts:
            return 1.0 if self.done and self.error is None else self._given_share
        part = self._parts[0]
        return self._given_share + (part.share - self._given_share) * self._start / len(part)

    def open(self) -> None:
        """Reads the head of the file.

        Raises:
            FeedError: no row of the head has a time, the file is in descending order, or it cannot be read at all.
        """
        batches: list[RawRows] = []
        rows, timed = 0, False
        while rows < HEAD_ROWS or not timed:
            batch = self._read()
            if batch is None:
                break
            batches.append(batch)
            rows += len(batch)
            timed = timed or bool((batch.open_time != MALFORMED_TIME).any())
            if not timed and rows >= _TIMELESS_ROWS:
                break
        if batches and not timed:
            raise FeedError(
                self.where,
                f"not one of its first {rows} rows has a time that can be read; write times as 2024-01-02T14:30:00Z, "
                "as an Arrow timestamp, or as seconds, ms, us or ns since 1970 UTC",
            )
        if self.error is not None and not batches:
            raise self.error
        if batches:
            joined = RawRows.joined(batches)
            self._order.head(joined.head(HEAD_ROWS).open_time)
            self._accept(joined)
            failed_at = self._order.failed_at
            if self.error is not None and failed_at is not None and failed_at <= HEAD_ROWS:
                raise self.error

    def fill(self) -> None:
        """Reads until there is one more part, or the file is at its end."""
        before = len(self._parts)
        while not self.done and len(self._parts) == before:
            batch = self._read()
            if batch is not None:
                self._accept(batch)

    def select(self, end_minute: int) -> list[tuple[Part, int, int]]:
        """The waiting rows before `end_minute`, as (part, from, to)."""
        found = []
        start = self._start
        for part in self._parts:
            stop = len(part) if int(part.minute[-1]) < end_minute else int(np.searchsorted(part.minute, end_minute))
            if stop > start:
                found.append((part, start, stop))
            if stop < len(part):
                break
            start = 0
        return found

    def drop(self, taken: list[tuple[Part, int, int]]) -> None:
        """Counts what `select` gave as given out."""
        for part, _, stop in taken:
            if stop == len(part):
                self._given_share = part.share
                self._parts.popleft()
                self._start = 0
            else:
                self._start = stop

    def close(self) -> None:
        """Let go of the file and of the rows that wait. May be called twice."""
        self._reader.close()
        self._parts.clear()
        self.done = True

    def _read(self) -> RawRows | None:
        if self.done:
            return None
        try:
            batch = self._reader.read()
        except FeedError as error:
            self.error = error
            batch = None
        if batch is None:
            self.done = True
        return batch

    def _accept(self, rows: RawRows) -> None:
        if self._shift_ns:
            rows.open_time = np.where(rows.open_time != MALFORMED_TIME, rows.open_time + self._shift_ns, MALFORMED_TIME)
        # A time in the future is as good as none: one wrong digit must not make all rows behind it late.
        good = (rows.open_time != MALFORMED_TIME) & (rows.open_time <= self._future_ns)
        all_good = bool(good.all())
        own = rows.open_time if all_good else self._filled(rows.open_time, good)
        self._previous = int(own[-1])
        count = self._order.check(own, rows.symbol)
        if self._order.error is not None:
            self.error = self._order.error
            self.done = True
            self._reader.close()
            if count == 0:
                return
            rows, own = rows.head(count), own[:count]
        line = np.arange(self._rows + 1, self._rows + 1 + len(rows))
        self._rows += len(rows)
        self._keep(rows, own, line)

    def _filled(self, times: NDArray[np.int64], good: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Times with each malformed one replaced by the one before it, the first ones by the next good one."""
        before = np.maximum.accumulate(np.where(good, np.arange(len(times)), -1))
        first = self._previous if self._previous is not None else int(times[np.argmax(good)])
        return np.where(before >= 0, times[before], first)

    def _keep(self, rows: RawRows, own: NDArray[np.int64], line: NDArray[np.int64]) -> None:
        symbol = rows.symbol if self.several and rows.symbol is not None else np.full(len(rows), self.code, np.int32)
        open_time, values = rows.open_time, rows.values
        start_ns, end_ns = self._span
        if int(own.min()) < start_ns or int(own.max()) >= end_ns:
            keep = (own >= start_ns) & (own < end_ns)
            own, open_time, symbol, line = own[keep], open_time[keep], symbol[keep], line[keep]
            values = tuple(value[keep] for value in values)
            if not len(own):
                return
        time = np.maximum.accumulate(own)
        if self._latest is not None and self._latest > own[0]:
            time = np.maximum(time, self._latest)
        self._latest = int(time[-1])
        minute = time // MINUTE_NS
        self.last_minute = int(minute[-1])
        # Rows of one minute are in the order of symbols, also where one of them is not stamped with a whole minute.
        time = minute * MINUTE_NS
        self._parts.append(Part(time, minute, open_time, symbol, values, line, rows.share))
