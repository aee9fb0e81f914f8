"""ADLine, ChaikinOscillator and OBV: whether volume flows in or out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import kernel, operation
from stratd.indicators.base import Primitive, Source, StreamInfo, check_whole, set_checked

_BARS: Final = ("high", "low", "close", "volume")

# State of the lines.
_SUM: Final = 0  # rounded
_REST: Final = 1  # what the rounding has lost
_SEEN: Final = 2  # OBV: 1 after the first finite row
_LAST: Final = 3  # OBV: its value

# State of the oscillator.
_ROWS: Final = 0  # finite rows seen, up to slow
_FAST: Final = 1  # average of the A/D line, less the line itself
_SLOW: Final = 2


_LARGEST: Final = 1e290  # above it sums could overflow, and be lost for good


@kernel("f8(f8, f8, f8, f8)", ieee=True)
def money_flow(high, low, close, volume):  # type: ignore[no-untyped-def]
    """Volume times where the close lies in the bar's range, from -1 at the low to 1 at the high; 0 without a range.

    Not finite if one of the four is not.
    """
    reach = high - low
    if reach <= 0.0:
        return 0.0 * (reach + close + volume)
    return ((close - low) - (high - close)) / reach * volume


@operation
def ad_line(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Sum of the money flow."""
    high, low, close, volume, out = inputs[0], inputs[1], inputs[2], inputs[3], outputs[0]
    total, rest = state[_SUM], state[_REST]
    for row in range(start, stop):
        flow = money_flow(high[row], low[row], close[row], volume[row])
        if abs(flow) <= _LARGEST:
            # TwoSum: Knuth, The Art of Computer Programming, vol. 2, 4.2.2, theorem B.
            following = total + flow
            part = following - total
            rest += (total - (following - part)) + (flow - part)
            total = following
            out[row] = total + rest
        else:
            out[row] = np.nan
    state[_SUM], state[_REST] = total, rest


@dataclass(frozen=True, slots=True)
class ADLine(Primitive):
    """Accumulation/distribution line: the sum of `volume * ((close - low) - (high - close)) / (high - low)`, since the first row.

    In units of volume. It is never reset. The sum carries what its rounding has lost: after n rows it is that of `math.fsum` to
    one rounding, 1.1e-16 of its size, and n**2 * 1.3e-32 of the largest sum on the way.

    Source: M. Chaikin, after L. Williams; TA-Lib's AD.

    Warm-up: 1 row. NaN or infinity in one of the four fields (or a flow beyond 1e290): the row's value is NaN, and the line goes
    on at the next row as if it had not been. Zero range, zero volume: the line stays where it is.
    """

    operation = ad_line

    @property
    def sources(self) -> tuple[Source, ...]:
        return _BARS

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 2


@operation
def chaikin_oscillator(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Difference of two EMAs of the A/D line. Parameters: slow, and what either average keeps of itself."""
    high, low, close, volume, out = inputs[0], inputs[1], inputs[2], inputs[3], outputs[0]
    needed, keep_fast, keep_slow = parameters[0], parameters[1], parameters[2]
    rows, fast, slow = state[_ROWS], state[_FAST], state[_SLOW]
    for row in range(start, stop):
        flow = money_flow(high[row], low[row], close[row], volume[row])
        if not abs(flow) <= _LARGEST:
            out[row] = np.nan
            continue
        # Where the line moves by `flow`, an average falls behind by as much, and then makes up a part of it. In the first
        # row both are the line itself.
        if rows > 0.0:
            fast = (fast - flow) * keep_fast
            slow = (slow - flow) * keep_slow
        rows = min(rows + 1.0, needed)
        out[row] = fast - slow if rows == needed else np.nan
    state[_ROWS], state[_FAST], state[_SLOW] = rows, fast, slow


@dataclass(frozen=True, slots=True)
class ChaikinOscillator(Primitive):
    """Chaikin oscillator: `EMA(fast) - EMA(slow)` of the accumulation/distribution line (see `ADLine`). In units of volume.

    Both averages begin with the line's first value, at the first row, as in TA-Lib's ADOSC; not with a simple average, as `EMA`
    does. It is computed from each average's distance to the line, which stays small however far the line has gone: so the
    difference of two large numbers, which TA-Lib takes, costs no digits here.

    Source: M. Chaikin; TA-Lib's ADOSC.

    Warm-up: `slow` rows. NaN or infinity in one of the four fields (or a flow beyond 1e290): the row's value is NaN, and the averages
    go on at the next row as if it had not been. Zero range, zero volume: the line stays where it is, and the averages approach it.

    Attributes:
        fast, slow: numbers of bars.
    """

    operation = chaikin_oscillator

    fast: int = 3
    slow: int = 10

    def __post_init__(self) -> None:
        fast, slow = check_whole("fast", self.fast, 1), check_whole("slow", self.slow, 1)
        if fast >= slow:
            raise ValueError(f"fast is below slow, not {fast} and {slow}")
        set_checked(self, fast=fast, slow=slow)

    @property
    def sources(self) -> tuple[Source, ...]:
        return _BARS

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.slow, 1.0 - 2.0 / (self.fast + 1.0), 1.0 - 2.0 / (self.slow + 1.0))

    @property
    def state_size(self) -> int:
        return 3

    @property
    def delay(self) -> int:
        return self.slow - 1


@operation
def obv(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Sum of the volume, with the sign of the value's change."""
    values, volume, out = inputs[0], inputs[1], outputs[0]
    total, rest, seen, last = state[_SUM], state[_REST], state[_SEEN], state[_LAST]
    for row in range(start, stop):
        value = values[row]
        if np.isfinite(value) and abs(volume[row]) <= _LARGEST:
            if seen == 0.0:
                seen, total = 1.0, volume[row]
            elif value != last:
                flow = volume[row] if value > last else -volume[row]
                following = total + flow
                part = following - total
                rest += (total - (following - part)) + (flow - part)
                total = following
            last = value
            out[row] = total + rest
        else:
            out[row] = np.nan
    state[_SUM], state[_REST], state[_SEEN], state[_LAST] = total, rest, seen, last


@dataclass(frozen=True, slots=True)
class OBV(Primitive):
    """On-balance volume: the sum of the volume of rows that rise, less that of rows that fall. In units of volume.

    The first value is the first row's volume (as in TA-Lib). It is never reset. Sums of whole volumes are exact up to 2**53;
    others carry what their rounding has lost, and are as exact as those of `ADLine`.

    Source: J. Granville, Granville's New Key to Stock Market Profits, 1963; TA-Lib's OBV.

    Warm-up: 1 row. NaN or infinity in the source or the volume (or one beyond 1e290): the row's value is NaN, and the sum goes on
    at the next row as if it had not been. No change, zero volume: it stays where it is.

    Attributes:
        source: field or indicator whose rise or fall counts.
    """

    source_fields = ("source",)
    operation = obv

    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self)

    @property
    def sources(self) -> tuple[Source, ...]:
        return (self.source, "volume")

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 4
