"""Indicators of every sort run the contract that ships in stratd.testing, and wrong ones fail it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from stratd.core.kernel import operation
from stratd.indicators.base import Indicator, Primitive, Source, StreamInfo, set_checked
from stratd.indicators.catalogue.macd import MACD
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.talib import TA
from stratd.indicators.user import PythonIndicator, compiled_indicator
from stratd.testing.indicators import IndicatorContract

Bars = Mapping[str, NDArray[Any]]


# Ours.


class TestSMA(IndicatorContract):
    indicator = SMA(10)

    def reference(self, bars: Bars) -> NDArray[np.float64]:
        return pd.Series(bars["close"]).rolling(10).mean().to_numpy()


class TestSMAWithoutTick(TestSMA):
    tick = None


class TestMACD(IndicatorContract):
    indicator = MACD(5, 12, 4)


# Users': compiled.


@compiled_indicator(state=2)
def smoothed_range(high, low, state, period=10):  # type: ignore[no-untyped-def]
    """Wilder's average of the range; its first value is the plain average of `period` ranges."""
    state[0] += 1
    state[1] += (high - low - state[1]) / min(period, state[0])
    return state[1] if state[0] >= period else math.nan


@compiled_indicator(state=2, warmup="period")
def smoothed_range_with_warmup(high, low, state, period=10):  # type: ignore[no-untyped-def]
    state[0] += 1
    state[1] += (high - low - state[1]) / min(period, state[0])
    return state[1]


@compiled_indicator(window="period", outputs=("highest", "lowest"))
def channel(high, low, period=7):  # type: ignore[no-untyped-def]
    return high.max(), low.min()


def wilder_range(bars: Bars) -> NDArray[np.float64]:
    ranges = bars["high"] - bars["low"]
    values = np.full(len(ranges), np.nan)
    values[9] = np.mean(ranges[:10])
    for row in range(10, len(ranges)):
        values[row] = (9 * values[row - 1] + ranges[row]) / 10
    return values


class TestCompiled(IndicatorContract):
    indicator = smoothed_range_with_warmup(10)

    def reference(self, bars: Bars) -> NDArray[np.float64]:
        return wilder_range(bars)


class TestCompiledWindowOfTwoSources(IndicatorContract):
    indicator = channel(9).of(SMA(4), "low")

    def reference(self, bars: Bars) -> dict[str, Any]:
        means = pd.Series(bars["close"]).rolling(4).mean()
        lowest = pd.Series(bars["low"]).rolling(9).min()
        return {"highest": means.rolling(9).max(), "lowest": lowest.where(means.rolling(9).max().notna())}


# Users': plain Python.


class PythonRange(PythonIndicator):
    inputs = ("high", "low")

    def __init__(self, period: int) -> None:
        self.period = self.warmup = period
        self.seen = 0
        self.average = 0.0

    def update(self, high: float, low: float) -> float:
        self.seen += 1
        self.average += (high - low - self.average) / min(self.seen, self.period)
        return self.average


class TestPython(IndicatorContract):
    indicator = PythonRange(10)

    def reference(self, bars: Bars) -> NDArray[np.float64]:
        return wilder_range(bars)


class Difference(PythonIndicator):
    inputs = (SMA(3), "close")
    outputs = ("above", "below")

    def update(self, mean: float, close: float) -> tuple[float, float]:
        return max(close - mean, 0.0), max(mean - close, 0.0)


class TestPythonOfAnIndicator(IndicatorContract):
    indicator = Difference()


# TA-Lib's.


class TestTARecursive(IndicatorContract):
    indicator = TA("ADXR", timeperiod=5)


class TestTAWindowed(IndicatorContract):
    indicator = TA("BBANDS", timeperiod=8).of(SMA(3))


class TestTACarried(IndicatorContract):
    indicator = TA("VWAP")


class TestTAPattern(IndicatorContract):
    indicator = TA("CDLENGULFING")


# Wrong ones.


@operation
def ends_with(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """Each row has the last value of its block."""
    values, out = inputs[0], outputs[0]
    for row in range(start, stop):
        out[row] = values[stop - 1]


@operation
def forgetful(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """A sum that begins anew with every block."""
    values, out = inputs[0], outputs[0]
    total = 0.0
    for row in range(start, stop):
        if np.isfinite(values[row]):
            total += values[row]
        out[row] = total


@operation
def poisoned(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """A sum that a NaN stays in."""
    values, out = inputs[0], outputs[0]
    total = state[0]
    for row in range(start, stop):
        total += values[row]
        out[row] = total if np.isfinite(total) else np.nan
    state[0] = total


@operation
def passes_on(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    values, out = inputs[0], outputs[0]
    for row in range(start, stop):
        out[row] = values[row]


@operation
def far_back(inputs, outputs, start, stop, parameters, state):  # type: ignore[no-untyped-def]
    """The change over 30 rows."""
    values, out = inputs[0], outputs[0]
    seen = state[0]
    for row in range(start, stop):
        out[row] = values[row] - values[row - 30] if seen >= 30 else np.nan
        seen += 1.0
        if not np.isfinite(out[row]):
            out[row] = np.nan
    state[0] = seen


@dataclass(frozen=True, slots=True)
class Wrong(Primitive):
    source_fields = ("source",)

    source: Source = "close"

    def __post_init__(self) -> None:
        set_checked(self)

    def parameters(self, stream: StreamInfo) -> Sequence[float]:
        return ()

    @property
    def state_size(self) -> int:
        return 1


@dataclass(frozen=True, slots=True)
class LooksAhead(Wrong):
    operation = ends_with


@dataclass(frozen=True, slots=True)
class Forgets(Wrong):
    operation = forgetful


@dataclass(frozen=True, slots=True)
class StaysPoisoned(Wrong):
    operation = poisoned


@dataclass(frozen=True, slots=True)
class PassesOn(Wrong):
    operation = passes_on


@dataclass(frozen=True, slots=True)
class ReachesTooFar(Wrong):
    operation = far_back

    @property
    def delay(self) -> int:
        return 30

    @property
    def reach_back(self) -> int:
        return 20


@dataclass(frozen=True, slots=True)
class NeverEqual(Wrong):
    operation = poisoned
    own: object = field(default_factory=object)

    def __deepcopy__(self, memo: dict[int, Any]) -> NeverEqual:
        return NeverEqual()


class LateValue(PythonIndicator):
    warmup = 3

    def __init__(self) -> None:
        self.seen = 0

    def update(self, close: float) -> float | None:
        self.seen += 1
        return close if self.seen > 5 else None


class Shared(PythonIndicator):
    """Keeps what it carries where every instance finds it."""

    seen: list[float] = []

    def update(self, close: float) -> float:
        self.seen.append(close)
        return float(len(self.seen))


class Raises(PythonIndicator):
    def update(self, close: float) -> float:
        raise ZeroDivisionError("of the author's")


def contract_of(spec: Indicator) -> Any:
    class Contract(IndicatorContract):
        indicator = spec

    return Contract()


@pytest.mark.parametrize("change", ["other values", "no rows"])
def test_contract_of_an_indicator_that_looks_ahead_fails(change: str) -> None:
    with pytest.raises(AssertionError, match="looks ahead"):
        contract_of(LooksAhead()).test_future_changes_nothing(change)


@pytest.mark.parametrize("spec", [LooksAhead(), Forgets()], ids=str)
def test_contract_of_an_indicator_that_keeps_no_state_across_blocks_fails(spec: Indicator) -> None:
    with pytest.raises(AssertionError, match="row by row"):
        contract_of(spec).test_any_blocks_give_the_same_bits(False)
    with pytest.raises(AssertionError, match="resumed at row"):
        contract_of(spec).test_resume_from_saved_state_gives_the_same_bits()


@pytest.mark.parametrize(("spec", "warmup"), [(smoothed_range(10), 1), (LateValue(), 3)], ids=str)
def test_contract_of_a_first_value_after_the_warmup_fails(spec: Indicator, warmup: int) -> None:
    with pytest.raises(AssertionError, match=f"later than its warm-up of {warmup}"):
        contract_of(spec).test_warmup_names_the_first_row_with_a_value()


def test_contract_of_values_before_the_warmup_fails() -> None:
    @dataclass(frozen=True, slots=True)
    class Early(Forgets):
        @property
        def delay(self) -> int:
            return 4

    with pytest.raises(AssertionError, match="sooner than its warm-up of 5"):
        contract_of(Early()).test_warmup_names_the_first_row_with_a_value()


def test_contract_of_a_sum_that_nan_stays_in_fails() -> None:
    with pytest.raises(AssertionError, match="long after"):
        contract_of(StaysPoisoned()).test_bad_rows_do_not_linger_and_give_no_infinity()


def test_contract_of_infinite_values_fails() -> None:
    with pytest.raises(AssertionError, match="is infinite"):
        contract_of(PassesOn()).test_bad_rows_do_not_linger_and_give_no_infinity()


def test_contract_of_a_reach_that_is_too_short_fails() -> None:
    with pytest.raises(AssertionError, match="with only the last 20 rows held"):
        contract_of(ReachesTooFar()).test_reach_names_how_far_back_rows_are_needed()


def test_contract_of_specifications_that_are_never_equal_fails() -> None:
    with pytest.raises(AssertionError, match="not equal"):
        contract_of(NeverEqual()).test_label_and_equality()


def test_contract_of_state_that_instances_share_fails() -> None:
    with pytest.raises(AssertionError, match="the second time"):
        contract_of(Shared()).test_compute_twice_gives_the_same_bits()


def test_contract_of_an_indicator_that_raises_shows_its_exception() -> None:
    with pytest.raises(ZeroDivisionError, match="of the author's"):
        contract_of(Raises()).test_outputs_are_columns_as_long_as_the_bars()


def test_contract_of_values_unlike_the_reference_fails() -> None:
    class Contract(IndicatorContract):
        indicator = SMA(10)

        def reference(self, bars: Bars) -> Any:
            return pd.Series(bars["close"]).rolling(10).mean() * (1 + 1e-7)

    with pytest.raises(AssertionError, match="value"):
        Contract().test_values_agree_with_the_reference()
