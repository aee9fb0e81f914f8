"""Bars for tests: from compact text, and as files.

>>> rows = bars('''
...     12:00  100 101  99 100  10
...     12:01  100 102 100 101  12
... ''', symbol="AAA", day="2024-01-02")
>>> rows[1].iso, rows[1].close
('2024-01-02T12:01:00Z', 101.0)
"""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from stratd.model.interval import MINUTE_NS

HEADER: Final = ("timestamp", "open", "high", "low", "close", "volume")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class BarRow(NamedTuple):
    """One 1-minute bar as a file would state it. `open_time` is int64 ns UTC."""

    symbol: str
    open_time: int
    open: float
    high: float
    low: float
    close: float
    volume: float

    @property
    def iso(self) -> str:
        """The open time as a CSV file holds it."""
        return (_EPOCH + timedelta(microseconds=self.open_time // 1000)).isoformat().replace("+00:00", "Z")


def nanoseconds(iso: str) -> int:
    """A time such as `2024-01-02T12:00:00Z` as int64 ns UTC; without a zone it is UTC."""
    moment = datetime.fromisoformat(iso)
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - _EPOCH) // timedelta(microseconds=1) * 1000


def bars(text: str, *, symbol: str = "AAA", day: str = "2024-01-02") -> list[BarRow]:
    """Bars from lines such as `12:00 100 101 99 100 10`: time, open, high, low, close, volume.

    Args:
        text: one bar a line. A time is `12:00`, or with a day of its own `2024-01-03T12:00`. After a `#` comes a comment.
            A line with one price, `12:00 100`, is a flat bar with volume 1; without a volume it is 1.
        symbol: whose bars they are; a line may name another in front of its time, `BBB 12:00 ...`.
        day: the day of times without one.

    Raises:
        ValueError: a line is something else; it is named.
    """
    rows = []
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if not words:
            continue
        name = symbol if words[0][0].isdigit() else words.pop(0)
        try:
            stamp, *cells = words
            prices = [float(cell) for cell in cells]
            if len(prices) == 1:
                prices *= 4
            if len(prices) == 4:
                prices.append(1.0)
            open_, high, low, close, volume = prices
            open_time = nanoseconds(stamp if "T" in stamp else f"{day}T{stamp}")
        except ValueError as error:
            raise ValueError(f"{line.strip()!r} is not a bar; write: 12:00 open high low close volume ({error})") from error
        rows.append(BarRow(name, open_time, open_, high, low, close, volume))
    return rows


def series(closes: Sequence[float], *, symbol: str = "AAA", start: str = "2024-01-02T12:00") -> list[BarRow]:
    """Minute after minute, one bar for each close: it opens at the close before, and has volume 1."""
    first = nanoseconds(start)
    opens = [closes[0], *closes[:-1]] if closes else []
    return [
        BarRow(symbol, first + index * MINUTE_NS, float(o), float(max(o, c)), float(min(o, c)), float(c), 1.0)
        for index, (o, c) in enumerate(zip(opens, closes, strict=True))
    ]


def write_csv(path: Path, rows: Iterable[BarRow], *, symbol_column: bool = False) -> Path:
    """Writes rows as they stand, in the format that the replay feed reads; gzipped where the name ends in .gz.

    Args:
        path: the file; it is replaced.
        rows: the bars, in any order.
        symbol_column: whether to write a column `symbol`, for a file of many symbols.

    Returns:
        `path`.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("symbol", *HEADER) if symbol_column else HEADER)
    for row in rows:
        cells = (row.iso, *map(repr, row[2:]))
        writer.writerow((row.symbol, *cells) if symbol_column else cells)
    data = text.getvalue().encode()
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)
    return path
