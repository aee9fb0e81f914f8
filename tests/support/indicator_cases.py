"""Case: an indicator, and somebody else's way to compute it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from stratd.indicators.base import Indicator

Floats: TypeAlias = NDArray[np.float64]
# open, high, low, close, volume: float64[rows]; open_time, close_time: int64[rows] ns UTC
BarArrays: TypeAlias = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Case:
    """An indicator and its oracle.

    Attributes:
        spec: the indicator.
        oracle: float64[rows] by output, from bars. NaN where the oracle has no value.
        kind: TA-Lib, or an independent formulation in pandas or numpy.
        rtol: largest relative difference allowed, where both have a value.
        atol: largest absolute difference allowed, in units of `scale`.
        scale: what `atol` is a fraction of: 1, or the largest absolute price.
        same_nan: whether both must have values in the same rows; else the oracle's rows are compared.
        skip_rows: rows at the beginning that are not compared, where conventions differ (say in `note` why).
        note: what to know about the comparison.
    """

    spec: Indicator
    oracle: Callable[[BarArrays], Mapping[str, Floats]]
    kind: Literal["talib", "independent"] = "talib"
    rtol: float = 1e-9
    atol: float = 1e-12
    scale: Literal["one", "price"] = "price"
    same_nan: bool = True
    skip_rows: int = 0
    note: str = ""
