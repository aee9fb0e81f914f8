"""Strategies that write down what they are told. Sessions load this file by its path and a class's name."""

from __future__ import annotations

from typing import NamedTuple

from stratd import Bar, Interval, Strategy, StrategyParams


class Seen(NamedTuple):
    """One callback.

    Attributes:
        what: bars, slice, open or close (of a session).
        now: ctx.now in it.
        symbol: of on_bars; the calendar of session callbacks; empty for slices.
        interval: "" for session callbacks.
        bar: the newest bar of the stream, for on_bars.
        missing: of on_slice.
        span: open and close time of session callbacks, (close time,) of slices.
        fill: of on_fill: order id, time, price.
        view: by readable stream, in the order of session symbols and then intervals: rows visible, rows in all, last open time.
    """

    what: str
    now: int
    symbol: str = ""
    interval: str = ""
    bar: Bar | None = None
    missing: tuple[str, ...] = ()
    span: tuple[int, ...] = ()
    fill: tuple[int, int, float] = (0, 0, 0.0)
    view: tuple[tuple[int, int, int | None], ...] = ()


class RecorderParams(StrategyParams):
    streams: tuple[tuple[str, str], ...] = (("*", "1m"),)
    watched: tuple[tuple[str, str], ...] = ()
    views: bool = False
    buys: str = ""


class BarRecorder(Strategy[RecorderParams]):
    """Records bars and sessions. Buys `params.buys` on its first 1m bar."""

    Params = RecorderParams

    def setup(self, ctx) -> None:
        self.seen: list[Seen] = []
        self.bought = False
        self.torn_down = 0
        readable = set()
        for pattern, interval in self.params.streams:
            readable |= {(symbol, Interval(interval)) for symbol in ctx.subscribe(pattern, interval)}
        for pattern, interval in self.params.watched:
            readable |= {(symbol, Interval(interval)) for symbol in ctx.watch(pattern, interval)}
        self.readable = sorted(readable, key=lambda stream: (stream[1].minutes, ctx.symbols.index(stream[0])))

    def view(self):
        if not self.params.views:
            return ()
        series = [self.ctx.bars(*stream) for stream in self.readable]
        return tuple((len(one), one.count, int(one.open_time[-1]) if len(one) else None) for one in series)

    def on_bars(self, symbol, interval) -> None:
        bar = self.ctx.bars(symbol, interval)[-1]
        self.seen.append(Seen("bars", self.ctx.now, symbol, str(interval), bar, view=self.view()))
        if symbol == self.params.buys and interval == "1m" and not self.bought:
            self.bought = True
            self.ctx.signal(symbol, "buy", strength=0.5, reason="first bar")

    def on_session_open(self, calendar, open_time, close_time) -> None:
        self.seen.append(Seen("open", self.ctx.now, calendar, span=(open_time, close_time), view=self.view()))

    def on_session_close(self, calendar, open_time, close_time) -> None:
        self.seen.append(Seen("close", self.ctx.now, calendar, span=(open_time, close_time), view=self.view()))

    def teardown(self) -> None:
        self.torn_down += 1


class Recorder(BarRecorder):
    """Records slices too."""

    def on_slice(self, interval, close_time, missing) -> None:
        self.seen.append(Seen("slice", self.ctx.now, "", str(interval), missing=missing, span=(close_time,), view=self.view()))


class FillRecorder(Recorder):
    """Records fills too."""

    def on_fill(self, fill) -> None:
        self.seen.append(Seen("fill", self.ctx.now, fill.symbol, fill=(fill.order_id, fill.time, fill.price), view=self.view()))
