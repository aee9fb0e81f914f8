"""What is measured of a strategy thread."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from stratd.core.kernel import kernel

_SUB: Final = 16  # buckets per doubling: a quantile is at most 1/16 too high
_SHORT: Final = 4  # stamps; for so few an array and a kernel call cost more than the callbacks that they time
_ENOUGH: Final = 256  # spans that wait at most
_BUCKETS: Final = 64 * _SUB


@kernel("void(ro i8[:], i8[:], i8[:])")
def observe(stamps, histogram, totals):  # type: ignore[no-untyped-def]  # the kernel signature is its type
    """Add the spans between consecutive stamps (ns) to a histogram with 16 buckets per doubling; totals: count, sum, max."""
    for i in range(1, stamps.shape[0]):
        span = max(stamps[i] - stamps[i - 1], np.int64(1))
        exponent = np.int64(0)
        rest = span
        while rest >= 2 * _SUB:
            rest >>= 1
            exponent += 1
        histogram[exponent * _SUB + rest] += 1
        totals[0] += 1
        totals[1] += span
        totals[2] = max(totals[2], span)


class Durations:
    """Spans of time: mean, quantiles and maximum, in constant memory.

    Thread safety: one thread writes; others read plain numbers, each of them whole.
    """

    def __init__(self) -> None:
        self.histogram: NDArray[np.int64] = np.zeros(_BUCKETS, np.int64)
        self.totals: NDArray[np.int64] = np.zeros(3, np.int64)
        self._waiting: list[int] = []
        self._observe = observe.load()

    def take(self, stamps: list[int]) -> None:
        """Add the spans between consecutive stamps, in ns. The spans of short windows wait until there are some."""
        if len(stamps) <= _SHORT:
            for before, after in pairwise(stamps):
                self._waiting.append(after - before)
            if len(self._waiting) >= _ENOUGH:
                self.settle()
        else:
            self._observe(np.array(stamps, np.int64), self.histogram, self.totals)

    def settle(self) -> None:
        """Add the spans that wait."""
        waiting, self._waiting = self._waiting, []
        self._observe(np.cumsum([0, *waiting], dtype=np.int64), self.histogram, self.totals)

    def _all(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Histogram and totals with the spans that wait. Does not touch them: any thread may ask."""
        waiting = tuple(self._waiting)
        if not waiting:
            return self.histogram, self.totals
        histogram, totals = self.histogram.copy(), self.totals.copy()
        self._observe(np.cumsum([0, *waiting], dtype=np.int64), histogram, totals)
        return histogram, totals

    @property
    def count(self) -> int:
        """How many spans."""
        return self._all()[1].item(0)

    @property
    def total_seconds(self) -> float:
        """Their sum."""
        return self._all()[1].item(1) / 1e9

    @property
    def mean_seconds(self) -> float:
        """Their mean; 0 where there are none."""
        count, total, _ = self._all()[1].tolist()
        return total / 1e9 / max(1, count)  # type: ignore[no-any-return]

    @property
    def max_seconds(self) -> float:
        """The longest."""
        return self._all()[1].item(2) / 1e9

    def quantile_seconds(self, q: float) -> float:
        """The smallest bucket bound that a share `q` of the spans does not exceed: at most 1/16 too high."""
        histogram, totals = self._all()
        count, _, longest = totals.tolist()
        if count == 0:
            return 0.0
        cumulated = np.cumsum(histogram)
        bucket = int(np.searchsorted(cumulated, np.ceil(q * count), "left"))
        exponent, rest = (0, bucket) if bucket < 2 * _SUB else (bucket // _SUB - 1, bucket % _SUB + _SUB)
        return min(float((rest + 1) << exponent) / 1e9, longest / 1e9)  # type: ignore[no-any-return]
