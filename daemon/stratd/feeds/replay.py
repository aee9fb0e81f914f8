"""ReplayFeed: recorded bars from files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from stratd.data.block import BarBlock
from stratd.feeds.merge import Taken, end_of_block, merged
from stratd.feeds.readers import open_reader
from stratd.feeds.rows import SymbolCodes
from stratd.feeds.source import SourceCursor
from stratd.model.interval import MINUTE_NS

_EVER: Final = (-(2**63), 2**63 - 1)
_ROWS_AHEAD: Final = 1 << 19  # of all sources together, so that many sources take no more memory than few
_LEAST_BATCH: Final = 1 << 10
_LARGEST_BATCH: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class ReplaySource:
    """One file of 1-minute bars.

    Attributes:
        path: ends in .csv, .csv.gz, .parquet, .arrow, .ipc or .feather.
        symbol: whose bars they are; None where a column `symbol` says so, row by row.
        stamp: whether the file states when bars open or when they close; those that close are moved back by a minute.
    """

    path: Path
    symbol: str | None = None
    stamp: Literal["open", "close"] = "open"


class ReplayFeed:
    """Gives the bars of files, merged in time order, in blocks, in constant memory. A `HistoryFeed`.

    Columns are found by name, upper and lower case alike: a time (`timestamp`, `open_time`, `ts`, `datetime`, `time` or
    `date`), `open`, `high`, `low`, `close`, `volume`, and `symbol` where the file holds many; others are ignored. What counts
    as a time is said in `stratd.feeds.cells`: ISO 8601 text, an Arrow timestamp, or a number since 1970 UTC with its unit told
    by magnitude.

    Rows come in the order of (effective time, symbol, source, row). The effective time is the running maximum of the times
    within a source, so a late row stands right behind the row of its symbol that it follows. A row whose time cannot be read
    has the effective time of the row before it. The order, and what is in a row, depend neither on `max_minutes` and
    `max_rows` nor on how files are read. Rows out of order stay with the minute of their effective time.

    A file that breaks off raises `FeedError` when its last readable row has been given out, not before.

    Thread safety: used by one thread at a time.

    Args:
        sources: the files. Several may have one symbol, for example one for each month.
        start_ns: the first open time that is given out, int64 ns UTC; None: from the beginning.
        end_ns: the first open time that is not given out any more; None: to the end.
        future_ns: rows that open later have a wrong time: they are given out where they stand, and put no other row
            out of order. None: no time is too late.
        batch_rows: about how many rows are read at once from each file; None: as many as memory suggests.
    """

    def __init__(
        self,
        sources: Sequence[ReplaySource],
        *,
        start_ns: int | None = None,
        end_ns: int | None = None,
        future_ns: int | None = None,
        batch_rows: int | None = None,
    ) -> None:
        self._sources = tuple(sources)
        self._span = (_EVER[0] if start_ns is None else start_ns, _EVER[1] if end_ns is None else end_ns)
        self._future_ns = _EVER[1] if future_ns is None else future_ns
        ahead = _ROWS_AHEAD // max(1, len(self._sources))
        self._batch_rows = batch_rows or min(_LARGEST_BATCH, max(_LEAST_BATCH, ahead))
        self._codes = SymbolCodes(())
        self._cursors: list[SourceCursor] = []
        self._merging: list[SourceCursor] = []
        self._sizes: list[int] = []
        self._opened = False

    @property
    def sources(self) -> Sequence[str]:
        """Names of the files, as the user wrote them."""
        return tuple(str(source.path) for source in self._sources)

    def open(self, symbols: Sequence[str]) -> None:
        """Opens the files and looks at the first rows of each.

        Args:
            symbols: the session's symbols, in order; rows of others come as unknown.

        Raises:
            FeedError: a file is absent, lacks columns, cannot be read, has no readable times, or is not sorted by time.
        """
        self.close()
        self._codes = SymbolCodes(symbols)
        try:
            for index, (source, where) in enumerate(zip(self._sources, self.sources, strict=True)):
                reader = open_reader(source.path, where, self._codes, self._batch_rows)
                shift_ns = -MINUTE_NS if source.stamp == "close" else 0
                cursor = SourceCursor(index, where, reader, self._codes, source.symbol, shift_ns, self._span, self._future_ns)
                self._cursors.append(cursor)
                cursor.open()
                self._sizes.append(max(1, source.path.stat().st_size))
        except BaseException:
            self.close()
            raise
        self._merging = sorted(self._cursors, key=self._place)
        self._opened = True

    def next_block(self, max_minutes: int, max_rows: int) -> BarBlock | None:
        """The next rows: at most `max_minutes` different minutes and `max_rows` rows, but one whole minute at least.

        Returns:
            None at the end, and after `close`.

        Raises:
            FeedError: a file cannot be read any further, or goes back in time.
        """
        if max_minutes < 1 or max_rows < 1:
            raise ValueError(f"max_minutes and max_rows must be at least 1, not {max_minutes} and {max_rows}")
        end = self._read_ahead(max_minutes, max_rows)
        if end is None:
            self._finish()
            return None
        used: list[SourceCursor] = []
        taken: list[Taken] = []
        for cursor in self._merging:
            if rows := cursor.select(end):
                used.append(cursor)
                taken.append(rows)
        block = merged(used, taken, self._codes)
        for cursor, rows in zip(used, taken, strict=True):
            cursor.drop(rows)
        if any(cursor.done and not cursor.waiting for cursor in used):
            self._merging = [cursor for cursor in self._merging if cursor.waiting or not cursor.done or cursor.error is not None]
        return block

    def progress(self) -> float | None:
        """Share of the input that has been given out, 0 to 1, by the sizes of the files; None before `open`."""
        if not self._opened:
            return None
        total = sum(self._sizes)
        return sum(size * cursor.share for size, cursor in zip(self._sizes, self._cursors, strict=True)) / total if total else 1.0

    def close(self) -> None:
        """Let go of files. May be called twice."""
        for cursor in self._cursors:
            cursor.close()
        self._cursors, self._merging, self._sizes = [], [], []
        self._opened = False

    def _place(self, cursor: SourceCursor) -> tuple[int, int]:
        # Files with many symbols are sorted by row, so their own place does not matter.
        return (self._codes.known if cursor.code < 0 else cursor.code, cursor.index)

    def _read_ahead(self, max_minutes: int, max_rows: int) -> int | None:
        """Reads until the next block is at hand. Returns the first minute behind it; None where no row is left to give."""
        for cursor in self._merging:
            if not cursor.waiting:
                cursor.fill()
        while True:
            waiting = [cursor for cursor in self._merging if cursor.waiting]
            if not waiting:
                return None
            live = [cursor for cursor in waiting if not cursor.done]
            broken = min((cursor.last_minute + 1 for cursor in self._merging if cursor.error is not None), default=_EVER[1])
            first = min(cursor.first_minute for cursor in waiting)
            # A block will reach about so far: whoever is not there yet has to read on anyway.
            ahead = min(broken, first + max(1, min(max_minutes, max_rows // len(waiting))))
            behind = [cursor for cursor in live if cursor.last_minute < ahead]
            if not behind:
                # The last minute at hand of a file that is still being read may have more rows.
                limit = min([broken, *(cursor.last_minute for cursor in live)])
                end, full = self._end(waiting, first, limit, max_minutes, max_rows)
                behind = [cursor for cursor in live if cursor.last_minute == limit < broken]
                if full or not behind:
                    return end
            for cursor in behind:
                cursor.fill()

    def _end(
        self, waiting: Sequence[SourceCursor], first: int, limit: int, max_minutes: int, max_rows: int
    ) -> tuple[int | None, bool]:
        """Where a block of the minutes before `limit` ends (None: there are none), and whether it is as large as it may be."""
        end, full = None, False
        for until in (min(limit, first + max_minutes), limit):  # mostly the first few rows of many tell
            parts = [part.minute[start:stop] for cursor in waiting for part, start, stop in cursor.select(until)]
            if parts:
                end, full = end_of_block(parts, max_minutes, max_rows)
            if full:
                break
        return end, full

    def _finish(self) -> None:
        broken = [(cursor.last_minute, cursor.index, cursor.error) for cursor in self._merging if cursor.error is not None]
        if broken:
            raise min(broken, key=lambda one: one[:2])[2]
