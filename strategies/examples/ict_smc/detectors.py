"""Market structure and fair value gaps, bar by bar. Plain state machines: no strategy, no clock, no randomness."""

from __future__ import annotations

from collections import deque
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class StructureEvent(StrEnum):
    """What a bar's close broke."""

    NONE = "none"
    BOS_UP = "bos_up"  # break of structure: a swing high, in an uptrend or before there is a trend
    BOS_DOWN = "bos_down"
    CHOCH_UP = "choch_up"  # change of character: a swing high, in a downtrend
    CHOCH_DOWN = "choch_down"


class StructureDetector:
    """Finds swing highs and lows, and what breaks them.

    A bar is a swing high when its high is above the highs of the `swing` bars before it and not below those of
    the `swing` bars after it, so it is known `swing` bars late. A close above the last swing high breaks it: a break of
    structure, or a change of character where the trend was down. A broken swing is used up. Lows likewise.

    O(swing) per bar.

    Attributes:
        trend: 1 up, -1 down, 0 before the first break.
        swing_high: the last swing high that has not been broken; None where there is none.
        swing_low: the last swing low that has not been broken.
    """

    __slots__ = ("_highs", "_lows", "_swing", "swing_high", "swing_low", "trend")

    def __init__(self, swing: int) -> None:
        self._swing = swing
        self._highs: deque[float] = deque(maxlen=2 * swing + 1)
        self._lows: deque[float] = deque(maxlen=2 * swing + 1)
        self.trend = 0
        self.swing_high: float | None = None
        self.swing_low: float | None = None

    def update(self, high: float, low: float, close: float) -> StructureEvent:
        """Take the next bar."""
        event = self._break(close)
        self._highs.append(high)
        self._lows.append(low)
        k = self._swing
        if len(self._highs) == 2 * k + 1:
            highs, lows = list(self._highs), list(self._lows)
            if highs[k] > max(highs[:k]) and highs[k] >= max(highs[k + 1 :]):
                self.swing_high = highs[k]
            if lows[k] < min(lows[:k]) and lows[k] <= min(lows[k + 1 :]):
                self.swing_low = lows[k]
        return event

    def save_state(self) -> dict[str, Any]:
        """All that its next answers depend on, as plain JSON values."""
        return {
            "highs": list(self._highs),
            "lows": list(self._lows),
            "trend": self.trend,
            "swing_high": self.swing_high,
            "swing_low": self.swing_low,
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave."""
        self._highs.clear()
        self._lows.clear()
        self._highs.extend(state["highs"])
        self._lows.extend(state["lows"])
        self.trend, self.swing_high, self.swing_low = state["trend"], state["swing_high"], state["swing_low"]

    def _break(self, close: float) -> StructureEvent:
        if self.swing_high is not None and close > self.swing_high:
            event = StructureEvent.CHOCH_UP if self.trend < 0 else StructureEvent.BOS_UP
            self.trend = 1
            self.swing_high = None
            return event
        if self.swing_low is not None and close < self.swing_low:
            event = StructureEvent.CHOCH_DOWN if self.trend > 0 else StructureEvent.BOS_DOWN
            self.trend = -1
            self.swing_low = None
            return event
        return StructureEvent.NONE


@dataclass(frozen=True, slots=True)
class Gap:
    """A fair value gap: prices that the middle one of three bars ran through and its neighbours did not touch.

    Attributes:
        bullish: whether the middle bar ran up.
        bottom: lower edge.
        top: upper edge.
        made_at: close time of the third bar, int64 ns UTC.
    """

    bullish: bool
    bottom: float
    top: float
    made_at: int


class GapDetector:
    """Finds fair value gaps and says when price comes back to them.

    Bullish: the third bar's low is above the first bar's high. Bearish: its high is below the first bar's low. A gap is
    untouched until a later bar reaches its near edge, and is then told once, as entered.

    O(max_untouched) per bar.

    Args:
        min_fraction: smallest height of a gap, as a fraction of its lower edge.
        max_untouched: beyond this many the oldest is forgotten.

    Attributes:
        untouched: oldest first.
        entered: those that the last bar came back to.
        formed: the gap that the last bar completed.
    """

    __slots__ = ("_before", "_last", "_max_untouched", "_min_fraction", "entered", "formed", "untouched")

    def __init__(self, min_fraction: float, max_untouched: int) -> None:
        self._min_fraction = min_fraction
        self._max_untouched = max_untouched
        self._before: tuple[float, float] | None = None
        self._last: tuple[float, float] | None = None
        self.untouched: tuple[Gap, ...] = ()
        self.entered: tuple[Gap, ...] = ()
        self.formed: Gap | None = None

    def update(self, high: float, low: float, close_time: int) -> None:
        """Take the next bar. `close_time` in int64 ns UTC."""
        self.entered = tuple(gap for gap in self.untouched if (low <= gap.top if gap.bullish else high >= gap.bottom))
        if self.entered:
            self.untouched = tuple(gap for gap in self.untouched if gap not in self.entered)
        self.formed = self._find(high, low, close_time)
        if self.formed is not None:
            self.untouched = (*self.untouched, self.formed)[-self._max_untouched :]
        self._before, self._last = self._last, (high, low)

    def save_state(self) -> dict[str, Any]:
        """All that its next answers depend on, as plain JSON values. `entered` and `formed` are of one bar, and not among it."""
        return {
            "bars": [list(bar) for bar in (self._before, self._last) if bar is not None],
            "untouched": [asdict(gap) for gap in self.untouched],
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave."""
        self._before, self._last = (None, None, *((high, low) for high, low in state["bars"]))[-2:]
        self.untouched = tuple(Gap(**gap) for gap in state["untouched"])[-self._max_untouched :]

    def _find(self, high: float, low: float, close_time: int) -> Gap | None:
        if self._before is None:
            return None
        first_high, first_low = self._before
        if low > first_high and low - first_high >= self._min_fraction * first_high:
            return Gap(True, first_high, low, close_time)
        if high < first_low and first_low - high >= self._min_fraction * high:
            return Gap(False, high, first_low, close_time)
        return None
