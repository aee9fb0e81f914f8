"""`stratd data resample`: longer bars of a file, through the same kernels that a session uses."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from stratd.core.clock import SystemClock
from stratd.data.intake import Reject
from stratd.data.session_data import COUNT_FIELDS, FLOAT_FIELDS, SessionData
from stratd.errors import UsageError
from stratd.model import Instrument, Interval
from stratd.strategy.context import Market
from stratd.system.builder import DAY_NS, MINUTE_1, build_derivation
from stratd.system.calendars import load_calendar

_BLOCK_MINUTES: Final = 4096
_ENDINGS: Final = (".csv", ".csv.gz", ".parquet", ".arrow")


@dataclass(frozen=True, slots=True)
class ResampleReport:
    """What became of a file's rows. `rejected` is by kind."""

    rows_in: int
    rows_out: int
    rejected: dict[str, int]


def resample_file(
    source: Path, interval: Interval, out: Path, calendar: str = "24/7", extended_hours: bool = False
) -> ResampleReport:
    """Derive a file of longer bars from a file of 1-minute bars.

    Columns written: timestamp (open time, UTC), close_time, open, high, low, close, volume, n, lost, quiet, flags.

    Raises:
        UsageError: the interval is 1m, or the output's ending is not known.
        FeedError: the file cannot be read.
        CalendarError: the calendar is unknown or has no such bars.
    """
    import pyarrow as pa

    from stratd.feeds.replay import ReplayFeed, ReplaySource

    if interval == MINUTE_1:
        raise UsageError("--interval 1m: the file has 1-minute bars already; ask for longer ones, such as 5m")
    if not any(out.name.endswith(ending) for ending in _ENDINGS):
        raise UsageError(f"--out {out}: the file's ending says its format: {', '.join(_ENDINGS)}")
    symbol = source.name.split(".")[0]
    instrument = Instrument(symbol, calendar=calendar, extended_hours=extended_hours)
    clock = SystemClock()
    table = load_calendar(calendar, extended_hours, clock)
    market = Market((symbol,), (MINUTE_1, interval), {symbol: instrument}, (table,), {symbol: 0}, 1)
    data = SessionData(market.symbols, market.intervals, 1)
    derivation = build_derivation((instrument,), market, data, clock.now_ns() + DAY_NS)
    feed = ReplayFeed([ReplaySource(source, symbol)])
    counts = np.zeros(len(Reject), np.int64)
    batches: list[Any] = []
    done = 0
    feed.open(market.symbols)
    try:
        while (block := feed.next_block(_BLOCK_MINUTES, _BLOCK_MINUTES)) is not None:
            _, codes = derivation.take(block)
            counts += np.bincount(codes, minlength=len(Reject))
            batches.append(_batch(pa, data, done))
            done = int(data.count[1, 0])
    finally:
        feed.close()
    derivation.finish()
    batches.append(_batch(pa, data, done))
    _write(pa.Table.from_batches(batches), out)
    rejected = {kind.label: int(counts[kind]) for kind in Reject if kind and counts[kind]}
    return ResampleReport(int(counts.sum()), int(data.count[1, 0]), rejected)


def _batch(pa: Any, data: SessionData, start: int) -> Any:
    """The derived rows from absolute row `start` on, copied."""
    frame = data.frame
    base = int(frame.base[1, 0])
    cut = slice(start - base, int(data.count[1, 0]) - base)
    columns = {
        "timestamp": pa.array(frame.ro_times[1, 0, 0, cut].copy(), pa.timestamp("ns", "UTC")),
        "close_time": pa.array(frame.ro_times[1, 1, 0, cut].copy(), pa.timestamp("ns", "UTC")),
    }
    columns |= {name: pa.array(frame.ro_floats[1, f, 0, cut].copy()) for f, name in enumerate(FLOAT_FIELDS)}
    columns |= {name: pa.array(frame.ro_counts[1, f, 0, cut].copy()) for f, name in enumerate(COUNT_FIELDS)}
    return pa.RecordBatch.from_pydict(columns)


def _write(table: Any, out: Path) -> None:
    import pyarrow as pa
    import pyarrow.compute
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet

    if out.name.endswith((".csv", ".csv.gz")):
        for number, name in enumerate(("timestamp", "close_time")):
            seconds = table[name].cast(pa.timestamp("s", "UTC"))
            table = table.set_column(number, name, pa.compute.strftime(seconds, "%Y-%m-%dT%H:%M:%SZ"))
        with pa.output_stream(str(out)) as stream:
            pa.csv.write_csv(table, stream)
    elif out.suffix == ".parquet":
        pa.parquet.write_table(table, out)
    else:
        pa.feather.write_feather(table, str(out), compression="uncompressed")
