"""Strategies of every temper, for sessions that must come out the same each time."""

from __future__ import annotations

import numpy as np

from stratd import SMA, Strategy, StrategyParams


class TroupeParams(StrategyParams):
    period: int = 3
    strength: float = 1.0
    work: int = 0


class Crosser(Strategy[TroupeParams]):
    """Trades on closes and its own count of them. Everything that it decides depends on all that it has seen."""

    Params = TroupeParams

    def setup(self, ctx) -> None:
        self.handled = 0
        interval = self.params.interval
        self.averages = {
            symbol: ctx.indicator(SMA(self.params.period), symbol, interval)
            for symbol in ctx.subscribe(self.params.symbols, interval)
        }

    def on_bars(self, symbol, interval) -> None:
        self.handled += 1
        close = self.ctx.bars(symbol, interval).close
        average = self.averages[symbol].value
        if self.averages[symbol].ready and (close[-1] > average) != (close[-2] > average):
            side = "buy" if close[-1] > average else "sell"
            self.ctx.signal(symbol, side, strength=self.params.strength, reason=f"{self.handled} {average!r}")


class Slow(Crosser):
    """Takes its time over each bar, by work and not by the clock."""

    def on_bars(self, symbol, interval) -> None:
        total = 0.0
        for _ in range(self.params.work):
            total += float(np.arange(200).sum())
        assert total >= 0
        super().on_bars(symbol, interval)


class Raiser(Crosser):
    """Raises on every third bar, after it has decided."""

    def on_bars(self, symbol, interval) -> None:
        super().on_bars(symbol, interval)
        if self.handled % 3 == 0:
            raise ValueError(f"bar {self.handled}")


class Breaking(Crosser):
    """Well for 50 bars, then raises on each."""

    def on_bars(self, symbol, interval) -> None:
        super().on_bars(symbol, interval)
        if self.handled > 50:
            raise KeyError(symbol)


class Slicer(Strategy[TroupeParams]):
    """Decides on slices of several intervals."""

    Params = TroupeParams

    def setup(self, ctx) -> None:
        self.slices = 0
        ctx.subscribe("A*", "1m")
        ctx.subscribe(["?BB", "AAA"], "5m")

    def on_slice(self, interval, close_time, missing) -> None:
        self.slices += 1
        if missing or self.slices % 7 == 0:
            self.ctx.signal("AAA", "flat", reason=f"{interval} {close_time} {missing}")


class Watcher(Strategy[TroupeParams]):
    """Is called for one stream and decides on others."""

    Params = TroupeParams

    def setup(self, ctx) -> None:
        ctx.subscribe("BBB", "5m")
        ctx.watch("*", "1m")
        ctx.watch("CCC", "15m")
        self.average = ctx.indicator(SMA(4), "CCC", "1m")

    def on_bars(self, symbol, interval) -> None:
        counts = [self.ctx.bars(name, "1m").count for name in self.ctx.symbols]
        newest = [float(self.ctx.bars(name, "1m").volume[-3:].sum()) for name in self.ctx.symbols]
        self.ctx.signal("BBB", "buy", reason=f"{counts} {newest} {self.ctx.bars('CCC', '15m').count} {self.average.value!r}")


class Session(Strategy[TroupeParams]):
    """Acts on opens and closes."""

    Params = TroupeParams

    def on_bars(self, symbol, interval) -> None:
        pass

    def on_session_open(self, calendar, open_time, close_time) -> None:
        self.ctx.signal("AAA", "buy", reason=f"open {calendar} {open_time}")

    def on_session_close(self, calendar, open_time, close_time) -> None:
        self.ctx.signal("AAA", "sell", reason=f"close {calendar} {close_time}")


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text for you")


class ThrowerParams(StrategyParams):
    where: str = "on_bars"
    what: str = "ValueError"


class Thrower(Strategy[ThrowerParams]):
    """Raises `what` each time that it is called `where`."""

    Params = ThrowerParams

    def throw(self, where) -> None:
        if where != self.params.where:
            return
        if self.params.what == "RecursionError":
            self.throw(where)
        kinds = {"ValueError": ValueError, "SystemExit": SystemExit, "StopIteration": StopIteration, "MemoryError": MemoryError}
        kinds |= {"Unprintable": Unprintable, "KeyboardInterrupt": KeyboardInterrupt, "GeneratorExit": GeneratorExit}
        raise kinds[self.params.what]("thrown")

    def on_bars(self, symbol, interval) -> None:
        self.throw("on_bars")

    def on_slice(self, interval, close_time, missing) -> None:
        self.throw("on_slice")

    def on_session_open(self, calendar, open_time, close_time) -> None:
        self.throw("on_session_open")

    def on_session_close(self, calendar, open_time, close_time) -> None:
        self.throw("on_session_close")

    def teardown(self) -> None:
        self.throw("teardown")
