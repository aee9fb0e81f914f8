"""A small context to run one strategy on hand-made bars, without a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stratd.data.calendars import CalendarTable, session_at, utc_table
from stratd.indicators import FIELDS, Indicator
from stratd.indicators.base import TIMES
from stratd.model import MINUTE_NS, Bar, BarFlags, Interval, Side
from stratd.strategy.base import Strategy

START_NS = 1_704_067_200_000_000_000  # 2024-01-01T00:00:00Z


@dataclass
class FakeSeries:
    """Bars of one stream, up to the event being handled."""

    symbol: str
    interval: Interval
    rows: list[Bar] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> Bar:
        return self.rows[index]

    def column(self, name: str) -> NDArray[np.float64]:
        return np.array([getattr(bar, name) for bar in self.rows], dtype=np.float64)

    @property
    def close(self) -> NDArray[np.float64]:
        return self.column("close")


class FakeHandle:
    """One output of an indicator, computed from scratch at each read."""

    def __init__(self, indicator: Indicator, output: str, series: FakeSeries, **options: Any) -> None:
        self.indicator = indicator
        self.output = output
        self.series = series
        self.options = options

    @property
    def values(self) -> NDArray[np.float64]:
        bars: dict[str, Any] = {name: self.series.column(name) for name in FIELDS}
        bars |= {name: np.array([getattr(bar, name) for bar in self.series.rows], np.int64) for name in TIMES}
        return self.indicator.compute(bars, interval=str(self.series.interval), **self.options)[self.output]

    @property
    def value(self) -> float:
        return float(self.values[-1])

    @property
    def ready(self) -> bool:
        return self.series.count >= self.indicator.warmup

    def __getitem__(self, index: int) -> float:
        return float(self.values[index])


@dataclass(frozen=True)
class Said:
    """One signal: the number of the bar (close time) it was given at, from 0."""

    at: int
    symbol: str
    side: Side
    stop_price: float | None = None
    target_weight: float | None = None


class FakeContext:
    """Keeps what the strategy asks for and says."""

    def __init__(self, symbols: Sequence[str], interval: Interval, calendar: CalendarTable, tick: float | None = 0.01) -> None:
        self.symbols = tuple(symbols)
        self.interval = interval
        self.calendar = calendar
        self.tick = tick
        self.names: set[tuple[str, str]] = set()
        self.series = {symbol: FakeSeries(symbol, interval) for symbol in symbols}
        self.lookback: dict[str, int] = {}
        self.said: list[Said] = []
        self.reasons: list[str] = []
        self.now = 0

    def subscribe(self, symbols: str | Iterable[str], interval: Interval | str, *, lookback: int = 0) -> tuple[str, ...]:
        assert interval == self.interval
        patterns = (symbols,) if isinstance(symbols, str) else tuple(symbols)
        matched = tuple(s for s in self.symbols if any(fnmatchcase(s, pattern) for pattern in patterns))
        self.lookback |= dict.fromkeys(matched, lookback)
        return matched

    def bars(self, symbol: str, interval: Interval | str) -> FakeSeries:
        assert symbol in self.lookback, "a stream is subscribed to before it is read"
        return self.series[symbol]

    def indicator(self, indicator: Indicator, symbol: str, interval: Interval | str, *, name: str = "") -> Any:
        assert not name or (name, symbol) not in self.names, "a name is used once"
        self.names.add((name, symbol))
        series = self.bars(symbol, interval)
        handles = {
            output: FakeHandle(indicator, output, series, tick=self.tick, calendar=self.calendar) for output in indicator.outputs
        }
        return SimpleNamespace(**handles) if len(handles) > 1 else handles["value"]

    def session(self, symbol: str) -> tuple[int, int] | None:
        minute = self.now - MINUTE_NS
        at = session_at(self.calendar, minute)
        if at < 0:
            return None
        opened, closed = int(self.calendar.regular_open[at]), int(self.calendar.regular_close[at])
        return (opened, closed) if opened <= minute < closed else None

    def signal(self, symbol: str, side: Side, *, reason: str = "", **prices: float | None) -> None:
        number = (self.now - START_NS) // self.interval.duration_ns - 1
        self.reasons.append(reason)
        self.said.append(Said(number, symbol, side, **prices))


def bar(number: int, close: float, interval: Interval, *, high: float | None = None, low: float | None = None) -> Bar:
    """The bar with this number since START_NS; flat at its close unless high and low say otherwise."""
    opened = START_NS + number * interval.duration_ns
    top, bottom = close if high is None else high, close if low is None else low
    values: dict[str, Any] = dict.fromkeys(Bar._fields, 0)
    values |= {"open_time": opened, "close_time": opened + interval.duration_ns, "n": interval.minutes, "flags": BarFlags.NONE}
    values |= {"open": close, "high": top, "low": bottom, "close": close, "volume": 1.0}
    return Bar(**values)


def play(
    kind: type[Strategy[Any]],
    bars: Mapping[str, Sequence[Bar | float | None]],
    *,
    calendar: CalendarTable | None = None,
    **params: Any,
) -> FakeContext:
    """Run a strategy on bars (or closes) per symbol, None where there is no bar; returns what it said, in order."""
    strategy = kind()
    strategy.params = kind.Params(**params)
    interval = strategy.params.interval
    context = FakeContext(tuple(bars), interval, calendar if calendar is not None else utc_table())
    strategy.ctx = context  # type: ignore[assignment]
    strategy.setup(context)  # type: ignore[arg-type]
    for number in range(max(map(len, bars.values()))):
        missing = []
        for symbol, rows in bars.items():
            row = rows[number] if number < len(rows) else None
            if row is None:
                missing.append(symbol)
                continue
            made = row if isinstance(row, Bar) else bar(number, row, interval)
            context.series[symbol].rows.append(made)
            context.now = made.close_time
            if symbol in context.lookback and context.series[symbol].count >= context.lookback[symbol]:
                strategy.on_bars(symbol, interval)
        if len(missing) < len(bars):
            context.now = START_NS + (number + 1) * interval.duration_ns
            gone = tuple(symbol for symbol in missing if symbol in context.lookback)
            strategy.on_slice(interval, context.now, gone)
    return context
