"""A journal's lines as a file: CSV, Parquet, or a JSON object on each line."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from stratd.cli.journal_lines import JournalLines, Line, Wanted, with_times
from stratd.core.clock import utc_text
from stratd.errors import SessionError

_BATCH: Final = 20_000
_TEXT, _WHOLE, _REAL, _TIME, _FLAG = "text", "whole", "real", "time", "flag"

# Columns behind time and strategy, in the order of the file. Named here and not taken from the first line: a file without lines has them too.
COLUMNS: Final[dict[str, dict[str, str]]] = {
    "fills": {
        "order_id": _WHOLE, "client_order_id": _TEXT, "number": _WHOLE, "symbol": _TEXT, "side": _TEXT, "quantity": _REAL,
        "price": _REAL, "fee": _REAL, "is_maker": _FLAG,
    },
    "orders": {
        "id": _WHOLE, "client_order_id": _TEXT, "symbol": _TEXT, "side": _TEXT, "kind": _TEXT, "quantity": _REAL,
        "limit_price": _REAL, "stop_price": _REAL, "time_in_force": _TEXT, "reduce_only": _FLAG, "parent": _WHOLE,
    },
    "ended": {"order_id": _WHOLE, "state": _TEXT, "reason": _TEXT, "filled": _REAL},
    "trades": {
        "symbol": _TEXT, "side": _TEXT, "quantity": _REAL, "entry_time": _TIME, "entry_price": _REAL, "exit_price": _REAL,
        "pnl": _REAL, "fees": _REAL, "mae": _REAL, "mfe": _REAL, "bars_held": _WHOLE,
    },
    "refused": {"symbol": _TEXT, "side": _TEXT, "quantity": _REAL, "reason": _TEXT},
    "charges": {"symbol": _TEXT, "kind": _TEXT, "amount": _REAL, "days": _WHOLE},
    "risk": {"state": _TEXT, "reason": _TEXT, "equity": _REAL},
    "equity": {"equity": _REAL},
}  # fmt: skip


def write_lines(source: JournalLines, wanted: Wanted, path: Path, check: Callable[[], object]) -> int:
    """Write the lines of one kind. The file is there when it is whole, and not before.

    Args:
        wanted: of one kind, which must be in `COLUMNS`.
        check: called when all has been read, before the file is there; it may raise.

    Returns:
        How many lines.

    Raises:
        JournalError: the journal cannot be read.
        SessionError: the file cannot be written.
    """
    (kind,) = wanted.kinds
    unfinished = path.with_name(f"{path.name}.unfinished")
    write = {".csv": _write_csv, ".parquet": _write_parquet, ".jsonl": _write_jsonl}[path.suffix.lower()]
    try:
        try:
            number = write(unfinished, _batches(source.all(wanted)), COLUMNS[kind])
            check()
            os.replace(unfinished, path)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise SessionError(
            f"{path} cannot be written ({error.strerror or error}); make room or name another file with --out"
        ) from error
    return number


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    while batch := list(islice(lines, _BATCH)):
        yield batch


def _write_jsonl(path: Path, batches: Iterator[Sequence[Line]], columns: dict[str, str]) -> int:
    number = 0
    with open(path, "w", encoding="utf-8") as file:
        for batch in batches:
            number += len(batch)
            for line in batch:
                values = with_times({name: _finite(line.values[name]) for name in columns})
                document = {"time": utc_text(line.time), "strategy": line.strategy, **values}
                file.write(json.dumps(document, allow_nan=False, ensure_ascii=False) + "\n")
    return number


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity, which a strategy may have asked for and been refused."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _write_parquet(path: Path, batches: Iterator[Sequence[Line]], columns: dict[str, str]) -> int:
    import pyarrow.parquet as pq

    number = 0
    with pq.ParquetWriter(path, _schema(columns, times_as_text=False)) as writer:
        for batch in batches:
            number += len(batch)
            writer.write_table(_table(batch, columns, times_as_text=False))
    return number


def _write_csv(path: Path, batches: Iterator[Sequence[Line]], columns: dict[str, str]) -> int:
    import pyarrow.csv as pa_csv

    number = 0
    with pa_csv.CSVWriter(path, _schema(columns, times_as_text=True)) as writer:
        for batch in batches:
            number += len(batch)
            writer.write_table(_table(batch, columns, times_as_text=True))
    return number


def _schema(columns: dict[str, str], times_as_text: bool) -> Any:
    import pyarrow as pa

    time = pa.string() if times_as_text else pa.timestamp("ns", "UTC")
    types = {_TEXT: pa.string(), _WHOLE: pa.int64(), _REAL: pa.float64(), _FLAG: pa.bool_(), _TIME: time}
    return pa.schema([("time", time), ("strategy", pa.string()), *((name, types[kind]) for name, kind in columns.items())])


def _table(lines: Sequence[Line], columns: dict[str, str], times_as_text: bool) -> Any:
    import pyarrow as pa

    def time(value: int) -> str | int:
        return utc_text(value) if times_as_text else value

    found: dict[str, list[Any]] = {"time": [time(line.time) for line in lines], "strategy": [line.strategy for line in lines]}
    for name, kind in columns.items():
        values = [line.values[name] for line in lines]
        found[name] = [time(value) for value in values] if kind == _TIME else values
    return pa.table(found, schema=_schema(columns, times_as_text))
