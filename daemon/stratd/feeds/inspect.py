"""inspect_file: what is in a file of bars, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final, SupportsInt

import numpy as np
from numpy.typing import NDArray

from stratd.data.block import MALFORMED_TIME
from stratd.feeds.readers import open_reader
from stratd.feeds.rows import RawRows, SymbolCodes
from stratd.model.interval import MINUTE_NS

BREAK_MINUTES: Final = 240
"""A hole of so many minutes is a break (a night, a week-end, a holiday), not missing data."""
_BATCH_ROWS: Final = 1 << 16
_BINS: Final = 1 << 13


@dataclass(frozen=True, slots=True)
class FileReport:
    """What is in a file of 1-minute bars. Times are int64 ns UTC, None where no row has one.

    Minutes are counted for each symbol by itself and added up. A hole is a run of absent minutes between two rows of a symbol.

    Attributes:
        first_open_time, last_open_time: earliest and latest open time.
        symbols: in the order of their first appearance.
        missing_minutes: absent minutes in holes shorter than `BREAK_MINUTES`.
        missing_runs, longest_missing_run: how many such holes there are; minutes of the longest.
        breaks: holes of `BREAK_MINUTES` and more; break_minutes: the absent minutes in them.
        longest_gap_minutes: the longest hole of either kind; longest_gap_open_time: its first absent minute.
        duplicates: rows with the time of the latest row of their symbol.
        out_of_order: rows older than that.
        newest_first: whether the file is sorted newest first (gaps are then not counted).
        malformed: rows whose time cannot be read.
        misaligned: rows whose time is no whole minute.
        nan: rows in which a value is no number.
        bad_ohlc: rows whose prices contradict each other (high below low, open or close outside of them).
        non_positive: rows with a price of zero or less.
        zero_volume: rows without volume.
        negative_volume: rows with less than that.
        coverage: share of the minutes that are there, 0 to 1, in equal parts of the file's span, for a small picture.
    """

    rows: int
    first_open_time: int | None
    last_open_time: int | None
    symbols: tuple[str, ...]
    missing_minutes: int
    missing_runs: int
    longest_missing_run: int
    breaks: int
    break_minutes: int
    longest_gap_minutes: int
    longest_gap_open_time: int | None
    duplicates: int
    out_of_order: int
    newest_first: bool
    malformed: int
    misaligned: int
    nan: int
    bad_ohlc: int
    non_positive: int
    zero_volume: int
    negative_volume: int
    coverage: tuple[float, ...]


def inspect_file(path: Path, symbol: str | None = None, *, buckets: int = 60, batch_rows: int = _BATCH_ROWS) -> FileReport:
    """Reads a file of bars once, in constant memory, and says what is in it. Nothing that a row holds is an error here.

    Args:
        path: the file, in any format that the replay feed reads.
        symbol: count only rows of this symbol (of a file with a `symbol` column), or the name for a file without one.
        buckets: how many parts `coverage` has.
        batch_rows: about how many rows are read at once.

    Raises:
        FeedError: it is absent, of an unknown kind, lacks columns, or breaks off.
    """
    codes = SymbolCodes(())
    reader = open_reader(path, str(path), codes, batch_rows)
    counts = _Counts(buckets)
    try:
        while (rows := reader.read()) is not None:
            if rows.symbol is None:
                rows.symbol = np.full(len(rows), codes.code(symbol or ""), np.int32)
            elif symbol is not None:
                keep = rows.symbol == codes.code(symbol)
                rows = RawRows(rows.open_time[keep], tuple(value[keep] for value in rows.values), rows.symbol[keep], rows.share)
            if len(rows) and rows.symbol is not None:
                counts.add(rows, rows.symbol)
    finally:
        reader.close()
    seen = tuple(name for code, name in enumerate(codes.unknown) if name and (-1 - code) in counts.latest)
    return counts.report(seen)


class _Counts:
    """Running counts over the batches of one file."""

    def __init__(self, buckets: int) -> None:
        self.latest: dict[int, int] = {}  # minute of the latest row, by symbol
        self._buckets = buckets
        self._totals: dict[str, int] = {}
        self._first: int | None = None
        self._last: int | None = None
        self._previous: int | None = None
        self._rising = self._falling = 0
        self._longest_run = 0
        self._gap = (0, 0)  # minutes, first absent minute
        self._bins = _Bins()

    def add(self, rows: RawRows, symbol: NDArray[np.int32]) -> None:
        good = rows.open_time != MALFORMED_TIME
        self._count("rows", len(rows))
        self._count("malformed", np.count_nonzero(~good))
        self._values(rows)
        for code in np.unique(symbol).tolist():
            self.latest.setdefault(code, -(2**62))
        times, symbol = rows.open_time[good], symbol[good]
        if not len(times):
            return
        self._count("misaligned", np.count_nonzero(times % MINUTE_NS))
        low, high = int(times.min()), int(times.max())
        self._first = low if self._first is None else min(low, self._first)
        self._last = high if self._last is None else max(high, self._last)
        steps = np.diff(times, prepend=times[0] if self._previous is None else self._previous)
        self._rising += int(np.count_nonzero(steps > 0))
        self._falling += int(np.count_nonzero(steps < 0))
        self._previous = int(times[-1])
        minutes = times // MINUTE_NS
        self._bins.add(minutes)
        order = np.argsort(symbol, kind="stable")
        minutes, symbol = minutes[order], symbol[order]
        starts = [0, *(np.flatnonzero(np.diff(symbol)) + 1).tolist(), len(symbol)]
        for start, stop in pairwise(starts):
            self._gaps(int(symbol[start]), minutes[start:stop])

    def report(self, symbols: tuple[str, ...]) -> FileReport:
        count = self._totals.get
        newest_first = self._falling >= 2 and self._rising == 0
        gap, gap_minute = self._gap
        return FileReport(
            rows=count("rows", 0),
            first_open_time=self._first,
            last_open_time=self._last,
            symbols=symbols,
            missing_minutes=count("missing", 0),
            missing_runs=count("runs", 0),
            longest_missing_run=self._longest_run,
            breaks=count("breaks", 0),
            break_minutes=count("break_minutes", 0),
            longest_gap_minutes=gap,
            longest_gap_open_time=gap_minute * MINUTE_NS if gap else None,
            duplicates=count("duplicates", 0),
            out_of_order=count("out_of_order", 0),
            newest_first=newest_first,
            malformed=count("malformed", 0),
            misaligned=count("misaligned", 0),
            nan=count("nan", 0),
            bad_ohlc=count("bad_ohlc", 0),
            non_positive=count("non_positive", 0),
            zero_volume=count("zero_volume", 0),
            negative_volume=count("negative_volume", 0),
            coverage=self._bins.coverage(self._buckets, max(1, len(self.latest))),
        )

    def _count(self, kind: str, number: SupportsInt) -> None:
        self._totals[kind] = self._totals.get(kind, 0) + int(number)

    def _values(self, rows: RawRows) -> None:
        open_, high, low, close, volume = rows.values
        prices = (open_, high, low, close)
        nan = np.isnan(volume)
        for price in prices:
            nan |= np.isnan(price)
        bad = (high < low) | (high < open_) | (high < close) | (low > open_) | (low > close)
        self._count("nan", np.count_nonzero(nan))
        self._count("bad_ohlc", np.count_nonzero(bad))
        self._count("non_positive", np.count_nonzero((open_ <= 0) | (high <= 0) | (low <= 0) | (close <= 0)))
        self._count("zero_volume", np.count_nonzero(volume == 0))
        self._count("negative_volume", np.count_nonzero(volume < 0))

    def _gaps(self, code: int, minutes: NDArray[np.int64]) -> None:
        latest = np.maximum.accumulate(minutes)
        before = self.latest[code]
        if before > -(2**62):
            np.maximum(latest, before, out=latest)
        step = minutes - np.concatenate(([before if before > -(2**62) else minutes[0] - 1], latest[:-1]))
        self.latest[code] = int(latest[-1])
        self._count("duplicates", np.count_nonzero(step == 0))
        self._count("out_of_order", np.count_nonzero(step < 0))
        holes = step[step > 1] - 1
        if not len(holes):
            return
        short = holes[holes < BREAK_MINUTES]
        self._count("missing", short.sum())
        self._count("runs", len(short))
        self._count("breaks", len(holes) - len(short))
        self._count("break_minutes", holes.sum() - short.sum())
        self._longest_run = max(self._longest_run, int(short.max(initial=0)))
        if int(holes.max()) > self._gap[0]:
            row = int(np.argmax(step))
            self._gap = (int(holes.max()), int(minutes[row] - holes.max()))


class _Bins:
    """How many rows there are in equal bins of time. The bins double in width when the span outgrows them."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, np.int64)
        self._width = 1  # minutes
        self._base = 0
        self._span: tuple[int, int] | None = None

    def add(self, minutes: NDArray[np.int64]) -> None:
        low, high = int(minutes.min()), int(minutes.max())
        if self._span is None:
            self._base = low
        else:
            low, high = min(low, self._span[0]), max(high, self._span[1])
        self._span = (low, high)
        while low < self._base or high >= self._base + _BINS * self._width:
            merged = self._counts.reshape(-1, 2).sum(axis=1)
            down = low < self._base  # room is made where it is needed
            self._counts = np.concatenate((np.zeros_like(merged), merged) if down else (merged, np.zeros_like(merged)))
            self._base -= _BINS * self._width if down else 0
            self._width *= 2
        self._counts += np.bincount((minutes - self._base) // self._width, minlength=_BINS)

    def coverage(self, buckets: int, symbols: int) -> tuple[float, ...]:
        if self._span is None:
            return ()
        first, last = self._span
        edges = np.linspace(first, last + 1, buckets + 1)
        known = self._base + self._width * np.arange(_BINS + 1)
        share = np.diff(np.interp(edges, known, np.concatenate(([0], np.cumsum(self._counts)))))
        return tuple(np.minimum(1.0, share / (np.diff(edges) * symbols)).tolist())
