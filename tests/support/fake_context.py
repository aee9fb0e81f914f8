"""A strategy's context made of lists: enough of it to run a strategy without a session."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import numpy as np

from stratd.indicators import Indicator
from stratd.model import Interval, Signal

Row = tuple[float, float, float, float]
"""open, high, low, close"""

START = 1_700_000_000 * 1_000_000_000 // 86_400_000_000_000 * 86_400_000_000_000
"""A UTC midnight, int64 ns: where fake bars begin."""


class FakeSeries:
    """Bars of one stream up to a cursor, at most `history` of them, like BarSeries."""

    def __init__(self, symbol: str, interval: Interval, rows: Sequence[Row], history: int = 1000) -> None:
        self.symbol, self.interval, self.count, self._history = symbol, interval, 0, history
        self._columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
        self._open_time = START + np.arange(len(rows), dtype=np.int64) * interval.duration_ns

    def __len__(self) -> int:
        return min(self.count, self._history)

    def _cut(self, column: Any) -> Any:
        return column[max(0, self.count - self._history) : self.count]

    @property
    def rows_in_all(self) -> int:
        return len(self._columns)

    @property
    def all_rows(self) -> dict[str, Any]:
        """What there is to compute on, rows that are not visible yet included."""
        prices = dict(zip(("open", "high", "low", "close"), self._columns.T, strict=True))
        return {**prices, "open_time": self._open_time}

    open = property(lambda self: self._cut(self._columns[:, 0]))
    high = property(lambda self: self._cut(self._columns[:, 1]))
    low = property(lambda self: self._cut(self._columns[:, 2]))
    close = property(lambda self: self._cut(self._columns[:, 3]))
    open_time = property(lambda self: self._cut(self._open_time))
    close_time = property(lambda self: self._cut(self._open_time) + self.interval.duration_ns)


class FakeHandle:
    """An indicator with one output: computed once on all rows, and shown up to the series' count (values are causal)."""

    def __init__(self, indicator: Indicator, series: FakeSeries) -> None:
        self._series = series
        self._column = indicator.compute(series.all_rows, interval=str(series.interval))[indicator.outputs[0]]

    values = property(lambda self: self._series._cut(self._column))

    @property
    def value(self) -> float:
        return float(self.values[-1]) if len(self._series) else float("nan")

    @property
    def ready(self) -> bool:
        return self.value == self.value

    def __getitem__(self, index: Any) -> Any:
        return self.values[index]


class FakeLog:
    """Keeps what is logged: (level, event, values)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def info(self, event: str, **values: Any) -> None:
        self.lines.append(("info", event, values))

    def warning(self, event: str, **values: Any) -> None:
        self.lines.append(("warning", event, values))


class FakeContext:
    """Plays rows per symbol to a strategy, one minute of all symbols after the other, and keeps its signals."""

    def __init__(self, rows: Mapping[str, Sequence[Row]], interval: str = "5m", history: int = 1000) -> None:
        self.name = "fake"
        self.symbols = tuple(rows)
        self.log = FakeLog()
        self.now = 0
        self.signals: list[tuple[int, Signal]] = []
        self.lookback = 0
        self.subscribed: tuple[str, ...] = ()
        self._interval = Interval(interval)
        self._series = {symbol: FakeSeries(symbol, self._interval, held, history) for symbol, held in rows.items()}

    def subscribe(self, symbols: str | Iterable[str], interval: Interval | str, *, lookback: int = 0) -> tuple[str, ...]:
        assert Interval(interval) == self._interval
        wanted = [symbols] if isinstance(symbols, str) else list(symbols)
        self.lookback = lookback
        self.subscribed = tuple(one for one in self.symbols if any(fnmatchcase(one, pattern) for pattern in wanted))
        return self.subscribed

    def watch(self, symbols: str | Iterable[str], interval: Interval | str) -> tuple[str, ...]:
        return self.symbols

    def indicator(self, indicator: Indicator, symbol: str, interval: Interval | str, *, name: str = "") -> FakeHandle:
        assert Interval(interval) == self._interval
        return FakeHandle(indicator, self._series[symbol])

    def bars(self, symbol: str, interval: Interval | str) -> FakeSeries:
        return self._series[symbol]

    def emit(self, signal: Signal) -> None:
        self.signals.append((self.now, signal))

    def play(self, strategy: Any) -> list[tuple[int, Signal]]:
        """Set the strategy up, play everything, tear it down; gives (now, signal) in order."""
        self.begin(strategy)
        for _ in range(max(series.rows_in_all for series in self._series.values())):
            self.step(strategy)
        strategy.teardown()
        return self.signals

    def begin(self, strategy: Any) -> None:
        strategy.ctx = self
        strategy.setup(self)

    def step(self, strategy: Any, *, notify: bool = True) -> None:
        """The next bar of every subscribed symbol; without `notify` the strategy is passed over, as in an overrun."""
        for symbol in self.subscribed:
            series = self._series[symbol]
            if series.count < series.rows_in_all:
                series.count += 1
                self.now = int(series.close_time[-1])
                if notify and series.count >= self.lookback:
                    strategy.on_bars(symbol, self._interval)


def random_rows(seed: int, n: int, price: float = 100.0, step: float = 0.3) -> list[Row]:
    """A random walk of `n` bars, the same for the same seed."""
    generator = np.random.default_rng(seed)
    moves = generator.normal(0.0, step, n)
    wicks = np.abs(generator.normal(0.0, step / 4, (2, n)))
    rows: list[Row] = []
    for i in range(n):
        start, end = price, max(1.0, price + float(moves[i]))
        rows.append((start, max(start, end) + float(wicks[0, i]), max(0.5, min(start, end) - float(wicks[1, i])), end))
        price = end
    return rows
