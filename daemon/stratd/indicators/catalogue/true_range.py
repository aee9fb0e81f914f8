"""TrueRange: a bar's range, the gap from the close before included."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from stratd.core.kernel import kernel, operation
from stratd.indicators.base import Primitive, Source, StreamInfo

BARS: Final = ("high", "low", "close")

# State.
_SEEN: Final = 0  # 1 after the first finite row
_LAST: Final = 1  # close of the last finite row
_SIZE: Final = 2


@kernel("f8(f8, f8, f8)", ieee=True)
def widest(high, low, last):  # type: ignore[no-untyped-def]
    """The true range of a bar with these extremes, after a close of `last`."""
    reach = high - low
    up, down = abs(high - last), abs(low - last)
    reach = up if up > reach else reach
    return down if down > reach else reach


@operation
def true_range(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """True range of rows with a finite high, low and close."""
    high, low, close, out = inputs[0], inputs[1], inputs[2], outputs[0]
    seen, last = state[_SEEN], state[_LAST]
    row = start
    while row < stop and seen == 0.0:
        out[row] = np.nan
        if np.isfinite(high[row] - low[row] + close[row]):
            seen, last = 1.0, close[row]
        row += 1
    for at in range(row, stop):
        # One test for three: no sum with something in it that is not finite is finite.
        if np.isfinite(high[at] - low[at] + close[at]):
            out[at] = widest(high[at], low[at], last)
            last = close[at]
        else:
            out[at] = np.nan
    state[_SEEN], state[_LAST] = seen, last


@dataclass(frozen=True, slots=True)
class TrueRange(Primitive):
    """True range: the largest of `high - low`, `|high - last close|` and `|low - last close|`, in units of price.

    Source: J. W. Wilder, New Concepts in Technical Trading Systems, 1978; TA-Lib's TRANGE.

    Warm-up: 2 rows; the first bar has no close before it. NaN or infinity in one of the three fields: the row's value is
    NaN, and the next row is compared with the last close before it. Zero range: the gap from the last close, which may be 0.
    """

    operation = true_range

    @property
    def sources(self) -> tuple[Source, ...]:
        return BARS

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return _SIZE

    @property
    def delay(self) -> int:
        return 1
