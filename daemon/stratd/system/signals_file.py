"""The signals of a run, as a file."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from stratd.errors import UsageError
from stratd.strategy.signals import SignalRecord
from stratd.strategy.thread import StrategyThread

SUFFIXES = (".csv", ".parquet")


def check_signals_path(path: Path) -> None:
    """See to it, before a run, that signals can be written there.

    Raises:
        UsageError: another ending than .csv or .parquet, or no such directory.
    """
    if path.suffix not in SUFFIXES:
        raise UsageError(f"--signals {path}: the file's ending says its format: {' or '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise UsageError(f"--signals {path}: there is no directory {path.parent}")


def write_signals(path: Path, threads: Sequence[StrategyThread], symbols: Sequence[str]) -> int:
    """Write every signal: the bar's open_time, strategy, symbol, side, strength, reason, and the values of the
    symbol's indicators that have names, as a JSON object. Returns how many.

    Ordered by the event that each was decided on, then by the session's order of strategies, then as emitted.

    Raises:
        UsageError: the ending is neither .csv nor .parquet.
        OSError: the file cannot be written.
    """
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    check_signals_path(path)
    rows = sorted(
        (
            (record.time, order, number, record)
            for order, thread in enumerate(threads)
            for number, record in enumerate(thread.signals.kept)
        ),
        key=lambda row: row[:3],
    )
    table = pa.table(
        {
            "open_time": pa.array([record.open_time for _, _, _, record in rows], pa.timestamp("ns", "UTC")),
            "strategy": pa.array([threads[order].name for _, order, _, _ in rows], pa.string()),
            "symbol": pa.array([symbols[record.symbol] for _, _, _, record in rows], pa.string()),
            "side": pa.array([str(record.side) for _, _, _, record in rows], pa.string()),
            "strength": pa.array([record.strength for _, _, _, record in rows], pa.float64()),
            "reason": pa.array([record.reason for _, _, _, record in rows], pa.string()),
            "indicators": pa.array([_noted(record) for _, _, _, record in rows], pa.string()),
        }
    )
    if path.suffix == ".csv":
        texts = pa.compute.strftime(table["open_time"].cast(pa.timestamp("s", "UTC")), "%Y-%m-%dT%H:%M:%SZ")
        pa.csv.write_csv(table.set_column(0, "open_time", texts), path)
    else:
        pa.parquet.write_table(table, path)
    return len(rows)


def _noted(record: SignalRecord) -> str:
    return json.dumps({name: None if math.isnan(value) else value for name, value in record.indicators or ()})
