"""What is visible at an event, and indicators of it, worked out from rows alone: with TA-Lib and numpy, without stratd."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import talib
from numpy.typing import NDArray

from stratd.testing.bars import BarRow

from .row_feed import MINUTE_NS

Floats: TypeAlias = NDArray[np.float64]
Stream: TypeAlias = tuple[str, str]
Key: TypeAlias = tuple[int, int, int]  # close time, minutes of the interval, order of the symbol
DAY_NS = 1440 * MINUTE_NS
AFTER_BARS = 10**9  # stands behind every interval: session events


def walk(seed: int, symbols: Sequence[str], start: int, minutes: int, hole: tuple[int, int] = (0, 0)) -> list[BarRow]:
    """Rows in feed order, on quarter ticks: each symbol misses a tenth of its minutes, the second one long spans,
    and all of them the minutes in `hole`."""
    random = np.random.default_rng(seed)
    closes = [400 + 50 * number for number in range(len(symbols))]
    rows = []
    for minute in range(minutes):
        for number, symbol in enumerate(symbols):
            opened = closes[number]
            closes[number] = closed = max(40, opened + int(random.integers(-4, 5)))
            high, low = max(opened, closed) + int(random.integers(0, 3)), min(opened, closed) - int(random.integers(0, 3))
            volume = float(random.integers(1, 99))
            away = random.random() < 0.1 or hole[0] <= minute < hole[1] or (number == 1 and minute % 90 in range(20, 47))
            if not away:
                prices = (price / 4 for price in (opened, high, low, closed))
                rows.append(BarRow(symbol, start + minute * MINUTE_NS, *prices, volume))
    return rows


class World:
    """Every stream of a session around the clock.

    Args:
        rows: in feed order.
        intervals: in minutes, 1 among them.
    """

    def __init__(self, rows: Sequence[BarRow], symbols: Sequence[str], intervals: Sequence[int]) -> None:
        self.symbols = tuple(symbols)
        self.streams: dict[Stream, dict[str, NDArray[Any]]] = {}
        self.cache: dict[Any, Mapping[str, Floats]] = {}
        for minutes in intervals:
            for symbol in symbols:
                self.streams[symbol, f"{minutes}m"] = _bars([row for row in rows if row.symbol == symbol], minutes)

    def rank(self, stream: Stream) -> tuple[int, int]:
        return int(stream[1][:-1]), self.symbols.index(stream[0])

    def key(self, what: str, now: int, symbol: str, minutes: int, subscribed: Sequence[Stream]) -> Key:
        """The key of an event. A slice's is that of the last of the strategy's own streams of its interval."""
        if what in ("open", "close"):
            return now, AFTER_BARS, 0
        own = [symbol] if what == "bars" else [name for name, interval in subscribed if interval == f"{minutes}m"]
        return now, minutes, max(self.symbols.index(name) for name in own)

    def visible(self, stream: Stream, key: Key) -> int:
        """How many rows of a stream have keys not after `key`."""
        side = "right" if self.rank(stream) <= key[1:] else "left"
        return int(np.searchsorted(self.streams[stream]["close_time"], key[0], side))

    def values(self, name: str, stream: Stream, start: int, stop: int, begins: Mapping[Stream, int]) -> Mapping[str, Floats]:
        """All outputs of the indicator `name` (see ORACLES) on rows [start, stop) of a stream, and on nothing else.

        Args:
            begins: where other streams begin; at their first rows unless said.
        """
        key = (name, stream, start, stop, tuple(begins.items()))
        if key not in self.cache:
            found = ORACLES[name](View(self, stream, start, stop, begins))
            self.cache[key] = found if isinstance(found, dict) else {"value": found}
        return self.cache[key]


class View:
    """Rows [start, stop) of a stream: what an oracle computes from."""

    def __init__(self, world: World, stream: Stream, start: int, stop: int, begins: Mapping[Stream, int]) -> None:
        self.world, self.stream, self.start, self.stop, self.begins = world, stream, start, stop, begins

    def __getattr__(self, field: str) -> NDArray[Any]:
        return self.world.streams[self.stream][field][self.start : self.stop]

    def other(self, symbol: str, interval: str, compute: Callable[[View], Floats]) -> Floats:
        """Another stream's values as they stood at each row of this one (docs/adr/0001, rules 1 and 7)."""
        stream = (symbol or self.stream[0], interval or self.stream[1])
        rank = self.world.rank(self.stream)
        rows = [self.world.visible(stream, (int(time), *rank)) for time in self.close_time]
        begin = self.begins.get(stream, 0)
        stop = max(rows, default=0)
        if stop <= begin:
            return np.full(len(rows), np.nan)
        found = compute(View(self.world, stream, begin, stop, self.begins))
        return np.array([found[row - 1 - begin] if row > begin else np.nan for row in rows])


def _bars(rows: Sequence[BarRow], minutes: int) -> dict[str, NDArray[Any]]:
    span = minutes * MINUTE_NS
    buckets: dict[int, list[BarRow]] = {}
    for row in rows:
        buckets.setdefault(row.open_time - row.open_time % span, []).append(row)
    times = np.array(list(buckets), np.int64)
    columns = {
        "open": [at[0].open for at in buckets.values()],
        "high": [max(row.high for row in at) for at in buckets.values()],
        "low": [min(row.low for row in at) for at in buckets.values()],
        "close": [at[-1].close for at in buckets.values()],
        "volume": [sum(row.volume for row in at) for at in buckets.values()],
    }
    found: dict[str, NDArray[Any]] = {name: np.array(column, np.float64) for name, column in columns.items()}
    return found | {"open_time": times, "close_time": times + span}


def ta(function: Callable[..., Any], *columns: Floats, **options: Any) -> Any:
    """A function of TA-Lib, of columns whose first values may be NaN."""
    rows = len(columns[0])
    known = ~np.isnan(np.sum(columns, axis=0))
    first = int(np.argmax(known)) if known.any() else rows
    nothing = np.full(first, np.nan)
    if first == rows:
        found: Any = np.full(rows, np.nan)
        return (found,) * 3 if function is talib.BBANDS else found
    found = function(*(np.ascontiguousarray(column[first:]) for column in columns), **options)
    if isinstance(found, tuple):
        return tuple(np.concatenate([nothing, one]) for one in found)
    return np.concatenate([nothing, found])


def ema(column: Floats, period: int) -> Floats:
    return np.asarray(ta(talib.EMA, column, timeperiod=period))


def rsi(view: View) -> Floats:
    return np.asarray(ta(talib.RSI, view.close, timeperiod=4))


def bollinger(view: View) -> dict[str, Floats]:
    upper, middle, lower = ta(talib.BBANDS, view.close, timeperiod=8)
    with np.errstate(all="ignore"):
        percent_b = np.where(upper == lower, 0.5, (view.close - lower) / (upper - lower))
    percent_b[np.isnan(middle)] = np.nan
    return {"middle": middle, "upper": upper, "lower": lower, "percent_b": percent_b, "width": (upper - lower) / middle}


def macd(view: View) -> dict[str, Floats]:
    line = ema(view.close, 3) - ema(view.close, 6)
    signal = ema(line, 4)
    return {"macd": line, "signal": signal, "histogram": line - signal}


def vwap(view: View) -> Floats:
    found = np.full(len(view.close), np.nan)
    traded = (view.high + view.low + view.close) / 3 * view.volume
    days = view.open_time // DAY_NS
    for day in np.unique(days):
        rows = days == day
        found[rows] = np.cumsum(traded[rows]) / np.cumsum(view.volume[rows])
    return found


def correlation(one: Floats, other: Floats, period: int) -> Floats:
    found = np.full(len(one), np.nan)
    for row in range(period - 1, len(one)):
        a, b = (column[row - period + 1 : row + 1] for column in (one, other))
        a, b = a - a.mean(), b - b.mean()
        scale = float((a * a).sum() * (b * b).sum())
        found[row] = 0.0 if scale == 0.0 else float((a * b).sum()) / scale**0.5
    return found


def close(view: View) -> Floats:
    return view.close


# By the names of `holders.SPECS`.
ORACLES: dict[str, Callable[[View], Floats | dict[str, Floats]]] = {
    "sma": lambda v: ta(talib.SMA, v.close, timeperiod=5),
    "ema": lambda v: ema(v.close, 4),
    "ema3": lambda v: ema(v.close, 3),
    "rsi": lambda v: ta(talib.RSI, v.close, timeperiod=6),
    "atr": lambda v: ta(talib.ATR, v.high, v.low, v.close, timeperiod=5),
    "wma": lambda v: ta(talib.WMA, v.close, timeperiod=4),
    "std": lambda v: ta(talib.STDDEV, v.close, timeperiod=6),
    "highest": lambda v: ta(talib.MAX, v.high, timeperiod=7),
    "obv": lambda v: ta(talib.OBV, v.close, v.volume),
    "vwap": vwap,
    "boll": bollinger,
    "macd": macd,
    "sma of rsi": lambda v: ta(talib.SMA, rsi(v), timeperiod=3),
    "ema of typical": lambda v: ema((v.high + v.low + v.close) / 3, 3),
    "close BBB": lambda v: v.other("BBB", "", close),
    "close CCC": lambda v: v.other("CCC", "", close),
    "close AAA 1m": lambda v: v.other("AAA", "1m", close),
    "close BBB 1m": lambda v: v.other("BBB", "1m", close),
    "close CCC 1m": lambda v: v.other("CCC", "1m", close),
    "close 5m": lambda v: v.other("", "5m", close),
    "close BBB 5m": lambda v: v.other("BBB", "5m", close),
    "close CCC 15m": lambda v: v.other("CCC", "15m", close),
    "ema BBB 5m": lambda v: v.other("BBB", "5m", lambda w: ema(w.close, 3)),
    "rsi CCC": lambda v: v.other("CCC", "", rsi),
    "ema of rsi CCC": lambda v: ema(v.other("CCC", "", rsi), 3),
    "correlation BBB": lambda v: correlation(v.close, v.other("BBB", "", close), 6),
    "correlation CCC": lambda v: correlation(v.close, v.other("CCC", "", close), 6),
    "close CCC by BBB": lambda v: v.other("BBB", "", lambda w: w.other("CCC", "", close)),
}


def close_enough(shown: Floats, expected: Floats, relative: float = 1e-9) -> bool:
    """As many, and equal to a thousand-millionth (or so much, relative to the value), NaN where NaN is."""
    return shown.shape == expected.shape and bool(np.allclose(shown, expected, rtol=relative, atol=1e-9, equal_nan=True))
