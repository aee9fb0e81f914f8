"""Aligned: a column of another stream, as it stood at each row of this one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, StreamInfo


@operation
def aligned(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """The newest value of the other stream that is visible at each row; NaN before the row at which the other begins.

    Inputs: close times of both streams (int64 bits) and the other's column. Parameters: whether the same close time is visible, and
    the absolute row at which the other begins. State: how many rows the other has (positions), and the absolute row of the first.
    """
    mine, theirs, values, out = inputs[0], inputs[1], inputs[2], outputs[0]
    same_time = parameters[0] > 0.0
    rows = int(state[0])
    begin = max(0, int(parameters[1] - state[1]))
    # The first of the other's rows that is too new for row `start`, by bisection; from then on both go forward.
    at = 0
    high = rows
    first = np.float64(mine[start]).view(np.int64)
    while at < high:
        middle = (at + high) // 2
        time = np.float64(theirs[middle]).view(np.int64)
        if time < first or (same_time and time == first):
            at = middle + 1
        else:
            high = middle
    for row in range(start, stop):
        now = np.float64(mine[row]).view(np.int64)
        while at < rows:
            time = np.float64(theirs[at]).view(np.int64)
            if time < now or (same_time and time == now):
                at += 1
            else:
                break
        out[row] = values[at - 1] if at > begin else np.nan


@dataclass(frozen=True, slots=True)
class Aligned(Primitive):
    """What `On` comes to: the planner makes it, with the inputs that it needs.

    Attributes:
        same_time: whether a row of the same close time is visible already.
    """

    same_time: bool

    operation = aligned

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (float(self.same_time),)  # and where the other begins, which the engine knows

    @property
    def state_size(self) -> int:
        return 2
