"""The cross of SMA(10) and SMA(20) on 5m with orders, on real bars: what stratd and its peers all simulate.

Needs neither stratd nor a peer, so that each can play it in an environment of its own.

A case is one symbol with an account of its own: 100,000, market orders at the next open, 2 bps of each fill's value, long or
flat. It buys one unit, or half of equity at the close that it decides on, in whole units.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, NamedTuple

DATA: Final = Path(__file__).resolve().parent.parent / "session_configs" / "sample_data"
CAPITAL: Final = 100_000.0
FEE_BPS: Final = 2.0
FRACTION: Final = 0.5
FAST, SLOW = 10, 20
SIZES: Final = ("unit", "half")


@dataclass(frozen=True, slots=True)
class Days:
    """Files that are played in one session.

    Attributes:
        folder: of the sample data.
        symbols: SPY and the like, and some that miss many minutes.
        extended_hours: whether the bars before the open and after the close are played.
        tick: the smallest step of the prices in these files.
    """

    folder: str
    symbols: tuple[str, ...]
    extended_hours: bool
    tick: float

    def file(self, symbol: str) -> Path:
        """A symbol's bars."""
        return DATA / self.folder / f"{symbol}.csv.gz"


DAYS: Final = {
    "regular": Days("us_equity_2019-02", ("SPY", "TSLA", "BAC", "AMT"), False, 0.0001),
    "extended": Days("us_equity_2013-10", ("IBM", "SPY"), True, 0.01),
}


class Row(NamedTuple):
    """A 1m bar. `time` is its open, ns UTC."""

    time: int
    open: float
    high: float
    low: float
    close: float
    volume: float


class Trip(NamedTuple):
    """A round trip: bought and sold. Times in ns UTC; one that is still held has neither exit time nor price."""

    quantity: float
    entry_time: int
    entry_price: float
    exit_time: int | None
    exit_price: float | None


class Played(NamedTuple):
    """What one account came to."""

    trips: list[Trip]
    final_equity: float


def cases() -> Iterator[tuple[str, str, str]]:
    """Days, symbol and size of every case."""
    for name, days in DAYS.items():
        for symbol in days.symbols:
            for size in SIZES:
                yield name, symbol, size


def key(days: str, symbol: str, size: str) -> str:
    """A case's name."""
    return f"{days} {symbol} {size}"


def rows(days: str, symbol: str) -> list[Row]:
    """The 1m bars of a file."""
    with gzip.open(DAYS[days].file(symbol), "rt", newline="") as file:
        return [
            Row(
                round(datetime.fromisoformat(line["timestamp"]).timestamp()) * 1_000_000_000,
                *(float(line[name]) for name in ("open", "high", "low", "close", "volume")),
            )
            for line in csv.DictReader(file)
        ]


def units(size: str, equity: float, close: float) -> int:
    """What is bought."""
    return 1 if size == "unit" else math.floor(FRACTION * equity / close + 1e-9)


def told(versions: dict[str, str], played: dict[str, Played]) -> None:
    """Print the line that the comparison reads."""
    print(json.dumps({"versions": versions, "played": played}))


def heard(line: dict[str, Any]) -> dict[str, Played]:
    """What a peer has told, or what was recorded of it."""
    return {name: Played([Trip(*trip) for trip in trips], equity) for name, (trips, equity) in line["played"].items()}


def paired(fills: Sequence[tuple[int, float, float]]) -> list[Trip]:
    """Round trips of fills (time, quantity, price) that buy and sell in turn."""
    whole = [*fills, *([(None, 0.0, None)] if len(fills) % 2 else [])]
    return [
        Trip(quantity, time, price, left_time, left_price)  # type: ignore[arg-type]
        for (time, quantity, price), (left_time, _, left_price) in zip(whole[::2], whole[1::2], strict=True)
    ]
