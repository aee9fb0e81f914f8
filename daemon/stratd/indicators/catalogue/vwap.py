"""VWAP: volume-weighted average price, by session, by period, or from an anchor."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, set_checked
from stratd.indicators.catalogue.cumulative import LARGEST, lost_in_sum
from stratd.indicators.catalogue.sessions import SESSION, Reset, check_reset, reset_parameters, reset_sources

# State.
_NUMBER: Final = 0  # of the session
_AGE: Final = 1  # rows since it began again
_SUM: Final = 2  # of price * volume, rounded
_REST: Final = 3  # what the rounding has lost
_VOLUME: Final = 4  # sum of volume, rounded
_VOLUME_REST: Final = 5
_SIZE: Final = 6

_BY_SESSION: Final = 1.0
_ANCHORED: Final = 2.0
_HALF: Final = 2**32  # an anchor is given in two halves, each of which is a whole float64


@operation
def vwap(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """VWAP. Parameters: way of beginning, rows of a period, anchor (high and low half).

    Inputs: high, low, close, volume; then the number of the session, or the open time where it is anchored.
    """
    highs, lows, closes, volumes, out = inputs[0], inputs[1], inputs[2], inputs[3], outputs[0]
    way, period = parameters[0], parameters[1]
    by_session = way == _BY_SESSION
    numbers = inputs[4] if way > 0.0 else inputs[0]
    current, age = state[_NUMBER], state[_AGE]
    total, rest, volume, volume_rest = state[_SUM], state[_REST], state[_VOLUME], state[_VOLUME_REST]
    row = start
    if way == _ANCHORED:
        anchor = int(parameters[2]) * _HALF + int(parameters[3])
        while row < stop and np.float64(numbers[row]).view(np.int64) < anchor:
            out[row] = np.nan
            row += 1
    for at in range(row, stop):
        if by_session:
            number = numbers[at]
            if number != current:
                if np.isnan(number):
                    out[at] = np.nan
                    continue
                current = number
                total = 0.0
                rest = 0.0
                volume = 0.0
                volume_rest = 0.0
        else:
            if age >= period:
                age = 0.0
                total = 0.0
                rest = 0.0
                volume = 0.0
                volume_rest = 0.0
            age += 1.0
        more = volumes[at]
        term = (highs[at] + lows[at] + closes[at]) / 3.0 * more
        if abs(term) <= LARGEST and 0.0 <= more <= LARGEST:
            rest += lost_in_sum(total, term)
            total += term
            volume_rest += lost_in_sum(volume, more)
            volume += more
            out[at] = (total + rest) / (volume + volume_rest) if volume > 0.0 else np.nan
        else:
            out[at] = np.nan
    state[_NUMBER], state[_AGE] = current, age
    state[_SUM], state[_REST], state[_VOLUME], state[_VOLUME_REST] = total, rest, volume, volume_rest


@dataclass(frozen=True, slots=True)
class VWAP(Primitive):
    """Volume-weighted average price since the beginning of the session: `sum(typical * volume) / sum(volume)`.

    `typical = (high + low + close) / 3`: of bars, whose own average price is not known, this is the usual stand-in (S. Berkowitz,
    D. Logue and E. Noser, The Total Cost of Transactions on the NYSE, 1988, for trades). With extended hours a session begins with its pre-market.

    It does not drift: both sums carry what their rounding has lost. With prices above zero the relative error is below 1e-15, from
    the rounding of each term, however many rows there are.

    Warm-up: 1 row. A volume of zero adds nothing: the value stays, and is NaN as long as there has been no volume at all. A bar
    with something that is not finite, a volume below zero, or a product beyond 1e300 adds nothing, and its own value is NaN. Bars
    outside all sessions add nothing and have no value, if it is by session.

    Attributes:
        reset: `session` (of the instrument's calendar), `never`, or after how many bars to begin again. All rows of the stream
            are counted for that, those with NaN too.
    """

    operation = vwap

    reset: Reset = SESSION

    def __post_init__(self) -> None:
        set_checked(self, reset=check_reset(self.reset))

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("high", "low", "close", "volume", *reset_sources(self.reset))

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (*reset_parameters(self.reset), 0.0, 0.0)

    @property
    def state_size(self) -> int:
        return _SIZE


@dataclass(frozen=True, slots=True)
class AnchoredVWAP(Primitive):
    """Volume-weighted average price from a moment on: from the first bar that opens at or after it. Formula and rounding: see `VWAP`.

    Source: B. Shannon, Maximum Trading Gains with Anchored VWAP, 2023.

    Warm-up: 1 row, if the anchor is not after the first; NaN before the anchor. NaN and zero volume: as for `VWAP`.

    Attributes:
        anchor_ns: the moment, in ns since 1970 UTC.
    """

    operation = vwap

    anchor_ns: int

    def __post_init__(self) -> None:
        set_checked(self, anchor_ns=_check_anchor(self.anchor_ns))

    @property
    def sources(self) -> tuple[Source, ...]:
        return ("high", "low", "close", "volume", "open_time")

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (_ANCHORED, float("inf"), *(float(half) for half in divmod(self.anchor_ns, _HALF)))

    @property
    def state_size(self) -> int:
        return _SIZE


def _check_anchor(anchor: object) -> int:
    """An anchor as an int.

    Raises:
        ValueError: it is no time.
    """
    if not isinstance(anchor, bool):
        try:
            whole = operator.index(anchor)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if 0 <= whole < 2**63:
                return whole
    raise ValueError(f"anchor_ns is a time in whole ns since 1970 UTC, not {anchor!r}")
