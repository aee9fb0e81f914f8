"""Strategies that hold indicators and write down, at every event, all that their handles show.

Sessions load this file by its path and a class's name; tests that put a session's parts together import it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from stratd import EMA, RSI, SMA, Strategy, StrategyParams
from stratd.errors import HistoryExceeded
from stratd.indicators import ATR, MACD, OBV, VWAP, WMA, Bollinger, Correlation, Highest, On, StdDev, TypicalPrice
from stratd.indicators.base import Indicator

SPECS: dict[str, Indicator] = {
    "sma": SMA(5),
    "ema": EMA(4),
    "ema3": EMA(3),
    "rsi": RSI(6),
    "atr": ATR(5),
    "wma": WMA(4),
    "std": StdDev(6),
    "highest": Highest(7),
    "obv": OBV(),
    "vwap": VWAP(),
    "boll": Bollinger(8),
    "macd": MACD(3, 6, 4),
    "sma of rsi": SMA(3).of(RSI(4)),
    "ema of typical": EMA(3).of(TypicalPrice()),
    "close BBB": On("close", "BBB"),
    "close CCC": On("close", "CCC"),
    "close AAA 1m": On("close", "AAA", "1m"),
    "close BBB 1m": On("close", "BBB", "1m"),
    "close CCC 1m": On("close", "CCC", "1m"),
    "close 5m": On("close", interval="5m"),
    "close BBB 5m": On("close", "BBB", "5m"),
    "close CCC 15m": On("close", "CCC", "15m"),
    "ema BBB 5m": On(EMA(3), "BBB", "5m"),
    "rsi CCC": On(RSI(4), "CCC"),
    "ema of rsi CCC": EMA(3).of(On(RSI(4), "CCC")),
    "correlation BBB": Correlation(6).of("close", On("close", "BBB")),
    "correlation CCC": Correlation(6).of("close", On("close", "CCC")),
    "close CCC by BBB": On(On("close", "CCC"), "BBB"),
}


class Want(BaseModel, frozen=True):
    """A request: of a specification above; `at` which call (0: in setup), let go at call `until`.

    `key` names it among several of the same kind.
    """

    spec: str
    symbol: str = "AAA"
    interval: str = "1m"
    lazy: bool = False
    private: bool = False
    dtype: Literal["float64", "float32"] = "float64"
    at: int = 0
    until: int = -1
    name: str = ""

    @property
    def key(self) -> str:
        options = [word for word in ("lazy", "private") if getattr(self, word)]
        return " | ".join([self.spec, self.symbol, self.interval, self.dtype, *options, f"at {self.at}"])


class Reading(NamedTuple):
    """What one handle shows; `values` is a copy."""

    value: float
    ready: bool
    values: NDArray[Any]

    @property
    def bits(self) -> tuple[bytes, str, bool]:
        """All of it, to the last bit."""
        return self.values.tobytes(), repr(self.value), self.ready


class Event(NamedTuple):
    """One callback: `what` (bars, slice, open, close), and all readings by key and output."""

    call: int
    now: int
    what: str
    symbol: str
    minutes: int
    readings: dict[tuple[str, str], Reading]

    @property
    def bits(self) -> tuple[Any, ...]:
        return *self[:5], {key: reading.bits for key, reading in self.readings.items()}


class HolderParams(StrategyParams):
    streams: tuple[tuple[str, str], ...] = (("*", "1m"),)
    watched: tuple[tuple[str, str], ...] = ()
    wants: tuple[Want, ...] = ()
    every: int = 1  # read at every so many calls
    raises: int = -1  # raise at this call and all later ones
    signals: bool = False


def outputs_of(handle: Any) -> list[tuple[str, Any]]:
    """An indicator's handles, output by output."""
    names = handle.indicator.outputs
    return [(name, getattr(handle, name)) for name in names] if len(names) > 1 else [(names[0], handle)]


class Holder(Strategy[HolderParams]):
    """Asks, reads and lets go as its parameters say. `seen`: every event; `wrong`: what a handle must not do."""

    Params = HolderParams

    def setup(self, ctx) -> None:
        self.call = self.reads = 0
        self.seen: list[Event] = []
        self.wrong: list[str] = []
        self.handles: dict[Want, Any] = {}
        self.event: tuple[str, int, str, int] | None = None
        self.event_at: dict[int, tuple[str, int, str, int]] = {}  # by call
        self.asked: dict[Want, tuple[str, int, str, int] | None] = {}  # at which event; None: in setup
        self.released: list[Any] = []
        self.kept: list[tuple[str, NDArray[Any], NDArray[Any]]] = []
        self.subscribed = [(symbol, each) for pattern, each in self.params.streams for symbol in ctx.subscribe(pattern, each)]
        for stream in self.params.watched:
            ctx.watch(*stream)
        self.ask()

    def ask(self) -> None:
        for want in self.params.wants:
            if want.at == self.call:
                self.asked[want] = self.event
                options = {"lazy": want.lazy, "private": want.private, "dtype": want.dtype, "name": want.name}
                self.handles[want] = self.ctx.indicator(SPECS[want.spec], want.symbol, want.interval, **options)
            if want.until == self.call:
                handle = self.handles.pop(want)
                self.ctx.release(handle)
                self.released += [one for _, one in outputs_of(handle)]

    def note(self, what, symbol, minutes) -> None:
        self.call += 1
        self.event = self.event_at[self.call] = (what, self.ctx.now, symbol, minutes)
        self.ask()
        if self.call % self.params.every == 0:
            readings = {}
            for want, handle in self.handles.items():
                for output, one in outputs_of(handle):
                    readings[want.key, output] = self.read(want.key, one)
            self.seen.append(Event(self.call, self.ctx.now, what, symbol, minutes, readings))
            if self.params.signals:
                self.signal(readings)
        for handle in self.released:
            if not math.isnan(handle.value) or handle.ready or len(handle.values):
                self.wrong.append(f"{self.call}: released {handle.name} shows {handle.values}")
        if 0 <= self.params.raises <= self.call:
            raise ValueError(f"call {self.call}")

    def read(self, key, handle) -> Reading:
        values = handle.values
        reading = Reading(handle.value, handle.ready, values.copy())
        self.reads += 1
        if self.reads % 6 == 0:
            self.wrong += [f"{self.call} {key}: {way}" for way, well in self.ways(handle, values, reading) if not well]
            self.kept += [(key, values, reading.values), (key, handle[-3:], reading.values[-3:])]
        return reading

    def ways(self, handle, values, reading) -> Iterator[tuple[str, bool]]:
        """Other ways to read, each with whether it shows what it should, and nothing else."""
        count, copied = len(handle), reading.values
        yield "length", len(copied) == count
        yield "slice", np.array_equal(handle[-3:], copied[-3:], equal_nan=True)
        yield "far slice", np.array_equal(handle[: 10**9], copied, equal_nan=True)
        yield "beyond", len(handle[count : count + 50]) == 0
        yield "ready", reading.ready == (not math.isnan(reading.value))
        for at in (count, -count - 1, count + 7):
            yield f"[{at}]", refused(handle, at)
        if count:
            yield "buffer", len(np.frombuffer(memoryview(values), values.dtype)) == count
            yield "writeable", not values.flags.writeable
            yield "[-1]", same(handle[-1], reading.value) and same(copied[-1], reading.value)
            yield "[0]", same(handle[0], copied[0])

    def signal(self, readings) -> None:
        """Values go into a price of the signal, which is hashed to the last bit."""
        for (_, output), reading in readings.items():
            if math.isfinite(reading.value) and reading.value > 0:
                self.ctx.signal("AAA", "buy", stop_price=reading.value, reason=output)

    def on_bars(self, symbol, interval) -> None:
        self.note("bars", symbol, interval.minutes)

    def on_slice(self, interval, close_time, missing) -> None:
        self.note("slice", "", interval.minutes)

    def on_session_open(self, calendar, open_time, close_time) -> None:
        self.note("open", "", 0)

    def on_session_close(self, calendar, open_time, close_time) -> None:
        self.note("close", "", 0)


class BarHolder(Holder):
    """Without slices and sessions."""

    on_slice = Strategy.on_slice
    on_session_open = Strategy.on_session_open
    on_session_close = Strategy.on_session_close


class NonsenseParams(StrategyParams):
    what: str = ""


class Nonsense(Strategy[NonsenseParams]):
    """Asks in setup for what cannot be."""

    Params = NonsenseParams

    def setup(self, ctx) -> None:
        ctx.subscribe("AAA", "1m")
        ask_nonsense(ctx, self.params.what)

    def on_bars(self, symbol, interval) -> None:
        pass


class LateNonsense(Strategy[NonsenseParams]):
    """Asks for it on its tenth bar, and goes on as if nothing had been."""

    Params = NonsenseParams

    def setup(self, ctx) -> None:
        ctx.subscribe("AAA", "1m")
        self.average = ctx.indicator(SMA(3), "AAA", "1m")
        self.calls = 0
        self.values: list[float] = []

    def on_bars(self, symbol, interval) -> None:
        self.calls += 1
        self.values.append(self.average.value)
        if self.calls == 10:
            ask_nonsense(self.ctx, self.params.what)


def ask_nonsense(ctx, what) -> None:
    requests = {
        "unknown symbol": lambda: ctx.indicator(SMA(3), "ZZZ", "1m"),
        "unknown interval": lambda: ctx.indicator(SMA(3), "AAA", "7m"),
        "no interval": lambda: ctx.indicator(SMA(3), "AAA", "minute"),
        "other symbol": lambda: ctx.indicator(SMA(3), "BBB", "1m"),
        "other symbol's input": lambda: ctx.indicator(SMA(3).of(On("close", "BBB")), "AAA", "1m"),
        "other interval's input": lambda: ctx.indicator(On(EMA(3), interval="5m"), "AAA", "1m"),
        "unknown symbol's input": lambda: ctx.indicator(On("close", "ZZZ"), "AAA", "1m"),
        "too far back": lambda: ctx.indicator(Highest(61), "AAA", "1m"),
        "too far back by average": lambda: ctx.indicator(SMA(61), "AAA", "1m"),
        "too far back inside": lambda: ctx.indicator(EMA(3).of(StdDev(500)), "AAA", "1m"),
        "name twice": lambda: (
            ctx.indicator(SMA(4), "AAA", "1m", name="fast"),
            ctx.indicator(EMA(4), "AAA", "1m", name="fast"),
        ),
        "not an indicator": lambda: ctx.indicator("SMA", "AAA", "1m"),
        "a dtype": lambda: ctx.indicator(SMA(4), "AAA", "1m", dtype="float16"),
    }
    requests[what]()


def refused(handle, at) -> bool:
    """Whether a handle has nothing at an index."""
    try:
        handle[at]
    except (IndexError, HistoryExceeded):
        return True
    return False


def same(one: float, other: float) -> bool:
    """Equal, or both NaN."""
    return one == other or (math.isnan(one) and math.isnan(other))
