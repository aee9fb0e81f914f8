"""Sums and ratios of columns, of which other indicators are made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from stratd.core.kernel import operation
from stratd.indicators.base import Primitive, Source, StreamInfo, set_checked


@operation
def weighted_sum(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`first_weight * first + second_weight * second + constant`."""
    first, second, out = inputs[0], inputs[1], outputs[0]
    a, b, c = parameters[0], parameters[1], parameters[2]
    for row in range(start, stop):
        out[row] = a * first[row] + b * second[row] + c


@dataclass(frozen=True, slots=True)
class WeightedSum(Primitive):
    """`first_weight * first + second_weight * second + constant`. NaN where either is NaN."""

    source_fields = ("first", "second")
    operation = weighted_sum

    first: Source
    second: Source
    first_weight: float = 1.0
    second_weight: float = 1.0
    constant: float = 0.0

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.first_weight, self.second_weight, self.constant)

    @property
    def state_size(self) -> int:
        return 0


@operation
def ratio(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """`scale * numerator / denominator + constant`; `undefined` where the denominator is zero."""
    numerator, denominator, out = inputs[0], inputs[1], outputs[0]
    scale, constant, undefined = parameters[0], parameters[1], parameters[2]
    for row in range(start, stop):
        below = denominator[row]
        above = numerator[row]
        out[row] = undefined if below == 0.0 and not np.isnan(above) else scale * above / below + constant


@dataclass(frozen=True, slots=True)
class Ratio(Primitive):
    """`scale * numerator / denominator + constant`; `undefined` where the denominator is zero. NaN where either is NaN."""

    source_fields = ("numerator", "denominator")
    operation = ratio

    numerator: Source
    denominator: Source
    scale: float = 1.0
    constant: float = 0.0
    undefined: float = float("nan")

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return (self.scale, self.constant, self.undefined)

    @property
    def state_size(self) -> int:
        return 0
