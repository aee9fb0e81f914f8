"""Strategies that try to see more than they may."""

from __future__ import annotations

from typing import Any

import numpy as np

from stratd import SMA, Interval, Strategy, StrategyParams
from stratd.errors import HistoryExceeded, NotSubscribed

FLOATS = ("open", "high", "low", "close", "volume")
TIMES = ("open_time", "close_time")
COUNTS = ("n", "lost", "quiet", "flags")


def attempt(action) -> Any:
    """What an action gives, or the name of the error that it raises."""
    try:
        return action()
    except (IndexError, HistoryExceeded, NotSubscribed, ValueError, TypeError, AttributeError, BufferError) as error:
        return type(error).__name__


class ProbeParams(StrategyParams):
    streams: tuple[tuple[str, str], ...] = (("*", "1m"),)
    watched: tuple[tuple[str, str], ...] = ()


class Prober(Strategy[ProbeParams]):
    """In each callback, writes down the last row that each way of reading shows, for each stream that it may read.

    `seen`: (now, what, symbol, interval minutes, {stream: {way: what it showed}}).
    """

    Params = ProbeParams

    def setup(self, ctx) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.kept_series: dict[tuple[str, str], Any] = {}
        self.kept_arrays: list[tuple[Any, Any]] = []
        self.subscribed = [(symbol, each) for pattern, each in self.params.streams for symbol in ctx.subscribe(pattern, each)]
        watched = [(symbol, each) for pattern, each in self.params.watched for symbol in ctx.watch(pattern, each)]
        self.streams = self.subscribed + [stream for stream in watched if stream not in self.subscribed]
        for stream in self.streams:
            self.kept_series[stream] = ctx.bars(*stream)
        self.averages = {stream: ctx.indicator(SMA(3), *stream) for stream in self.streams}

    def ways(self, stream) -> dict[str, Any]:
        series, kept, average = self.ctx.bars(*stream), self.kept_series[stream], self.averages[stream]
        count, held = series.count, len(series)
        found: dict[str, Any] = {
            "count": count,
            "length": held,
            "kept count": kept.count,
            "kept closes": kept.close.tolist(),
            "closes": series.close.tolist(),
            "as array": np.asarray(series.close).tolist(),
            "copied": np.array(series.close, copy=True).tolist(),
            "view": series.close.view().tolist(),
            "buffer": np.frombuffer(memoryview(series.close)).tolist() if held else [],
            "far slice": series.close[: 10**9].tolist(),
            "beyond": series.close[held : held + 50].tolist(),
            "at end": attempt(lambda: series.close[held]),
            "next index": attempt(lambda: series[count]),
            "far index": attempt(lambda: series[count + 7]),
            "next time": attempt(lambda: series.open_time[held]),
            "newest": attempt(lambda: series[-1]),
            "newest by index": attempt(lambda: series[count - 1]),
            "oldest": attempt(lambda: series[-held]) if held else "IndexError",
            "too old": attempt(lambda: series[-held - 1]),
            "first": attempt(lambda: series[0]),
            "open times": series.open_time.tolist(),
            "close times": series.close_time.tolist(),
            "columns": [getattr(series, name).tolist() for name in (*FLOATS, *COUNTS)],
            "average": average.value,
            "averages": average[:].tolist(),
            "averages beyond": average[len(average) : len(average) + 9].tolist(),
        }
        return found

    def note(self, what, symbol, minutes) -> None:
        self.seen.append((self.ctx.now, what, symbol, minutes, {stream: self.ways(stream) for stream in self.streams}))
        for stream in self.streams:
            series = self.ctx.bars(*stream)
            for name in (*FLOATS, *TIMES, *COUNTS):
                column = getattr(series, name)
                if len(self.seen) % 5 == 1:
                    self.kept_arrays.append((column, column.copy()))
            self.kept_arrays.append((self.averages[stream][-3:], self.averages[stream][-3:].copy()))

    def on_bars(self, symbol, interval) -> None:
        self.note("bars", symbol, interval.minutes)

    def on_slice(self, interval, close_time, missing) -> None:
        self.note("slice", "", interval.minutes)


class Writer(Strategy[ProbeParams]):
    """Tries to write through everything that it is given. `outcomes`: (how, what happened)."""

    Params = ProbeParams

    def setup(self, ctx) -> None:
        self.outcomes: set[tuple[str, str]] = set()
        ctx.subscribe("*", "1m")

    def on_bars(self, symbol, interval) -> None:
        series = self.ctx.bars(symbol, interval)
        for name in (*FLOATS, *TIMES, *COUNTS):
            column = getattr(series, name)
            before = column.copy()
            for how, write in self.tricks(series, name, column).items():
                outcome = attempt(write)
                self.outcomes.add((how, outcome if isinstance(outcome, str) else "went through"))
            if not np.array_equal(getattr(series, name), before):
                self.outcomes.add((name, "was changed"))

    def tricks(self, series, name, column) -> dict[str, Any]:
        def put(target) -> None:
            target[...] = 7

        def switch(target) -> None:
            target.flags.writeable = True
            target[...] = 7

        def through_bases() -> None:
            base = column
            while isinstance(base, np.ndarray):
                try:
                    switch(base)
                except ValueError:
                    base = base.base
                else:
                    return
            view = memoryview(base)
            if view.readonly:
                raise ValueError("read-only to the bottom")
            view[:1] = b"7"

        def by_buffer() -> None:
            memoryview(column).cast("B")[0] = 7

        def by_array_interface() -> None:
            put(np.asarray(np.lib.stride_tricks.as_strided(column, writeable=True)))

        return {
            "assignment": lambda: put(column),
            "in place": lambda: np.add(column, 1, out=column),
            "sort": lambda: column.sort(),
            "flag": lambda: switch(column),
            "bases": through_bases,
            "memoryview": by_buffer,
            "strides": by_array_interface,
            "view": lambda: switch(column.view()),
            "property": lambda: setattr(series, name, column),
            "bar": lambda: setattr(series[-1], name, 7),
        }


class Trespasser(Strategy[ProbeParams]):
    """Asks for streams that are not its own. `outcomes`: by request, what came of it in setup and in callbacks."""

    Params = ProbeParams

    def setup(self, ctx) -> None:
        self.outcomes: dict[str, set[str]] = {}
        ctx.subscribe("AAA", "1m")
        ctx.watch("BBB", "5m")
        self.trespass()

    def trespass(self) -> None:
        requests = {
            "own": ("AAA", "1m"),
            "own, as Interval": ("AAA", Interval("1m")),
            "watched": ("BBB", "5m"),
            "other interval": ("AAA", "5m"),
            "other symbol": ("BBB", "1m"),
            "another strategy's": ("CCC", "1m"),
            "not derived": ("AAA", "7m"),
            "no such symbol": ("ZZZ", "1m"),
            "wildcard": ("*", "1m"),
            "no interval": ("AAA", "minute"),
        }
        for name, request in requests.items():
            outcome = attempt(lambda request=request: self.ctx.bars(*request))
            self.outcomes.setdefault(name, set()).add(outcome if isinstance(outcome, str) else "given")

    def on_bars(self, symbol, interval) -> None:
        self.trespass()
