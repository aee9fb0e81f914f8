"""nautilus_trader's Rust indicators on the bars of W1, one bar at a time: ns for an update and for reading the values.

    PYTHONPATH=bench python -P bench/peers/nautilus_indicators.py MINUTES    (-P: this file must not hide the package)

The times are those of a Python loop that updates, or reads, and does nothing else, less those of an empty loop. The
hundred are a quarter each of SMA, EMA, RSI and ATR of different periods.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from nautilus_trader.core import nautilus_pyo3 as rust

import workloads


def made() -> dict[str, tuple[Any, tuple[str, ...], tuple[str, ...]]]:
    """By name: the indicator, the fields that it takes, and what is read of it."""
    bars = ("high", "low", "close")
    return {
        "SMA": (rust.SimpleMovingAverage(20), ("close",), ("value",)),
        "EMA": (rust.ExponentialMovingAverage(20), ("close",), ("value",)),
        "RSI": (rust.RelativeStrengthIndex(14), ("close",), ("value",)),
        "ATR": (rust.AverageTrueRange(14), bars, ("value",)),
        "Bollinger": (rust.BollingerBands(20, 2.0), bars, ("upper", "middle", "lower")),
    }


def empty(rows: Sequence[tuple[float, ...]]) -> float:
    """Seconds of a loop over the rows."""
    begun = perf_counter()
    for _ in rows:
        pass
    return perf_counter() - begun


def updating(update: Callable[..., None], rows: Sequence[tuple[float, ...]]) -> float:
    """Seconds of all updates."""
    begun = perf_counter()
    if len(rows[0]) == 1:
        for (value,) in rows:
            update(value)
    else:
        for first, second, third in rows:
            update(first, second, third)
    return perf_counter() - begun - empty(rows)


def reading(indicator: Any, name: str, times: int) -> float:
    """Seconds of reading one value so often."""
    rows = range(times)
    begun = perf_counter()
    if name == "value":
        for _ in rows:
            _ = indicator.value
    elif name == "upper":
        for _ in rows:
            _ = indicator.upper
    elif name == "middle":
        for _ in rows:
            _ = indicator.middle
    else:
        for _ in rows:
            _ = indicator.lower
    return perf_counter() - begun - empty(rows)  # type: ignore[arg-type]


def main() -> None:
    """Run, and print one JSON line."""
    minutes = int(sys.argv[1])
    columns = {name: column[0].tolist() for name, column in workloads.w1(minutes).columns.items()}
    bars, closes = list(zip(columns["high"], columns["low"], columns["close"], strict=True)), [(v,) for v in columns["close"]]
    nanoseconds = 1e9 / minutes
    updates, reads = {}, {}
    for name, (indicator, fields, outputs) in made().items():
        updates[name] = nanoseconds * updating(indicator.update_raw, closes if len(fields) == 1 else bars)
        reads[name] = nanoseconds * sum(reading(indicator, output, minutes) for output in outputs)
    periods = range(5, 30)
    single = (rust.SimpleMovingAverage, rust.ExponentialMovingAverage, rust.RelativeStrengthIndex)
    ones = [kind(period).update_raw for kind in single for period in periods]
    threes = [rust.AverageTrueRange(period).update_raw for period in periods]
    part = bars[: max(100, minutes // 100)]
    begun = perf_counter()
    for high, low, close in part:
        for update in ones:
            update(close)
        for update in threes:
            update(high, low, close)
    hundred = 1e6 * (perf_counter() - begun) / len(part)
    print(json.dumps({"update_ns": updates, "read_ns": reads, "hundred_us": hundred}))


if __name__ == "__main__":
    main()
