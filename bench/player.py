"""A writer with an IndicatorHub, and contexts that read from it: one thread plays both sides, so that each is timed alone.

SessionData, hub, contexts and handles are those of a session, with the window and the history that it has by default; feed,
derivation, log and threads are left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import workloads

HISTORY: Final = 1_000  # rows that a strategy can look back, as in a session where nothing else is said
WINDOW: Final = 4_096  # rows that the writer may be ahead of its readers
BLOCK: Final = 4_096
TICK: Final = 0.01
_APART: Final = 97  # minutes between the bars of one symbol and those of the next


class Player:
    """Bars of W1 in memory, and a writer that appends them. Symbol i has them from minute 97 * i on.

    Attributes:
        data, hub, market: the session's parts.
        times: bars of all symbols together that have been appended so far.
        moving_seconds: time that the hub has spent on taking its columns to new memory.
    """

    def __init__(
        self, symbols: int = 1, *, ahead: int = WINDOW, history: int = HISTORY, tick: float | None = TICK,
    ) -> None:  # fmt: skip
        from stratd.data.calendars import utc_table
        from stratd.data.session_data import SessionData
        from stratd.indicators.hub import IndicatorHub
        from stratd.model import Instrument, Interval
        from stratd.strategy.context import Market

        names = tuple(f"P{i:05}" for i in range(symbols))
        intervals = (Interval("1m"),)
        instruments = {name: Instrument(name, tick=tick) for name in names}
        self.market = Market(names, intervals, instruments, (utc_table(),), dict.fromkeys(names, 0), history)
        self.data = SessionData(names, intervals, history + ahead + 1)
        self.hub = IndicatorHub(self.data, lambda symbol, interval: self.market.streams[symbol, interval])
        self.moving_seconds = 0.0
        self._move, self.data.on_move = self.data.on_move, self._timed_move
        self._bars: NDArray[np.float64] = np.stack([column[0] for column in workloads.w1().columns.values()])
        self._offsets = _APART * np.arange(symbols)

    def _timed_move(self, frame: Any) -> Any:
        begun = perf_counter()
        assert self._move is not None
        annex = self._move(frame)
        self.moving_seconds += perf_counter() - begun
        return annex

    @property
    def rows(self) -> int:
        """Bars of each symbol so far."""
        return int(self.data.count[0, 0])

    def ask(self, indicators: Sequence[Any], symbols: int | None = None) -> list[Any]:
        """Have indicators computed for the first symbols, or for all of them."""
        streams = [self.market.streams[name, "1m"] for name in self.market.symbols[:symbols]]
        return [self.hub.request(self.hub.plan(one, stream), lambda _: 0) for stream in streams for one in indicators]

    def write(self, rows: int) -> None:
        """Append bars, and compute nothing for them yet."""
        start, symbols = self.rows, len(self.market.symbols)
        self.data.make_room(np.full((1, symbols), rows))
        frame = self.data.frame
        base = int(frame.base[0, 0])
        at = slice(start - base, start + rows - base)
        minutes = np.arange(start, start + rows)
        source = (minutes + self._offsets[:, None]) % self._bars.shape[1]
        for field, column in enumerate(self._bars):
            frame.floats[0, field, :, at] = column[source]
        opened = (workloads.START_SECONDS * 1_000_000_000) + workloads.MINUTE_NS * minutes
        frame.times[0, 0, :, at] = opened
        frame.times[0, 1, :, at] = opened + workloads.MINUTE_NS
        self.data.count[0] += rows

    def advance(self) -> float:
        """Compute what there is to compute. Returns the seconds that it took."""
        begun = perf_counter()
        self.hub.advance()
        return perf_counter() - begun

    def play(self, rows: int, block: int) -> float:
        """Append `rows` bars, `block` of them at a time. Returns the seconds that the hub took to compute."""
        seconds = 0.0
        for _ in range(rows // block):
            self.write(block)
            seconds += self.advance()
        return seconds

    def settle(self, block: int, moves: int = 4) -> None:
        """Play until rows have been given up so often that memory is that of earlier frames, as in a session that has run for long.

        After that there is room for many rows, until the next move.
        """
        full = self.data.keep + block
        self.play(-(-full // block) * block, block)
        since = self.data.compactions
        while self.data.compactions < since + moves:
            self.play(block, block)


class Reader:
    """One strategy's context. It sees the first symbol."""

    def __init__(self, player: Player, name: str = "reader") -> None:
        from stratd.strategy.context import StrategyContext

        self.player = player
        self.context = StrategyContext(name, player.market)
        self.context.subscribe(player.market.symbols[0], "1m")
        self.series = self.context.bars(player.market.symbols[0], "1m")
        self.handles: list[Any] = []  # one for each output

    def ask(self, indicator: Any, **options: Any) -> None:
        """Ask for an indicator, in `setup`."""
        found = self.context.indicator(indicator, self.player.market.symbols[0], "1m", **options)
        self.handles += found.outputs.values() if len(indicator.outputs) > 1 else [found]

    def begin(self) -> None:
        """Setup is over."""
        self.context.seal()
        self.context.attach(self.player.hub)

    def show(self, frame: Any, ends: NDArray[np.int64]) -> None:
        """What the strategy's thread does with a window: compute what is private, and go to the last row."""
        self.context.advance(frame, ends)
        self.series._hi = int(ends[0])


def hundred() -> list[Any]:
    """100 distinct indicators: all of the catalogue with their usual parameters, then those with a period with another one."""
    import dataclasses

    from stratd.indicators.catalogue.listing import CATALOGUE

    usual = [entry.spec for entry in CATALOGUE]
    found: list[Any] = list(usual)
    more = 5
    periodic: list[Any] = [spec for spec in usual if hasattr(spec, "period")]
    while len(found) < 100:
        found += [dataclasses.replace(spec, period=spec.period + more) for spec in periodic]
        more += 5
    return list(dict.fromkeys(found))[:100]
