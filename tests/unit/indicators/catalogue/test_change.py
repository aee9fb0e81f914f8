from __future__ import annotations

import math

import numpy as np
import pytest

from stratd.errors import IndicatorError
from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.change import ROC, LogReturn, Momentum, Return
from stratd.indicators.catalogue.prices import OHLC4, MedianPrice, TypicalPrice, WeightedPrice

nan, inf = math.nan, math.inf


def of_close(spec: Indicator, *values: float) -> list[float]:
    return spec.compute({"close": np.array(values)})["value"].tolist()


def same(got: list[float], *expected: float) -> None:
    np.testing.assert_array_equal(got, expected)


def test_roc_is_in_percent() -> None:
    same(of_close(ROC(2), 100.0, 7.0, 125.0), nan, nan, 25.0)


def test_roc_of_a_base_of_zero_is_zero_and_of_a_negative_one_by_the_formula() -> None:
    same(of_close(ROC(1), 0.0, 5.0, -5.0, -10.0, 0.0, 0.0), nan, 0.0, -200.0, 100.0, -100.0, 0.0)


def test_return_is_a_fraction_and_there_is_none_on_a_base_of_zero_or_below() -> None:
    same(of_close(Return(), 100.0, 125.0, 0.0, 5.0, -5.0, 5.0, 10.0), nan, 0.25, -1.0, nan, -2.0, nan, 1.0)


def test_log_return_needs_both_values_above_zero() -> None:
    same(of_close(LogReturn(), 1.0, 0.0, 1.0, -1.0, 1.0, 1.0), nan, nan, nan, nan, nan, 0.0)


def test_log_return_of_a_small_move_keeps_its_digits() -> None:
    rows = [60_000.0, 60_000.0 + 2.0**-20]
    exact = 2.0**-20 / 60_000.0  # to 1e-11 of it
    assert of_close(LogReturn(), *rows)[1] == pytest.approx(exact, rel=1e-10, abs=0.0)
    assert math.log(rows[1] / rows[0]) != pytest.approx(exact, rel=1e-6, abs=0.0)  # the reason for log1p


@pytest.mark.parametrize("spec", [ROC(2), Momentum(2), Return(2), LogReturn(2)])
@pytest.mark.parametrize("bad", [nan, inf, -inf])
def test_change_is_nan_where_either_value_is_not_finite_and_nowhere_else(spec: Indicator, bad: float) -> None:
    got = np.array(of_close(spec, 1.0, 2.0, 3.0, bad, 5.0, 6.0, 7.0, 8.0))
    assert np.isnan(got).tolist() == [True, True, False, True, False, True, False, False]


@pytest.mark.parametrize("spec", [ROC(1), Return(1), Momentum(1), LogReturn(1)])
def test_change_beyond_all_numbers_is_nan_and_never_infinite(spec: Indicator) -> None:
    rows = (-1.7e308, 1.7e308) if spec == Momentum(1) else (1e-300, 1e300)
    assert not np.isinf(of_close(spec, *rows)).any()


def test_roc_of_infinity_on_a_base_of_zero_is_nan() -> None:
    assert math.isnan(of_close(ROC(1), 0.0, inf)[1])
    assert math.isnan(of_close(ROC(1), 0.0, nan)[1])


def test_change_has_its_usual_parameters_and_warmup() -> None:
    assert (ROC().period, Momentum().period, Return().period, LogReturn().period) == (10, 10, 1, 1)
    assert [spec.warmup for spec in (ROC(), Momentum(3), Return(), LogReturn(7, "open"))] == [11, 4, 2, 8]
    assert Return(2).of(ROC(5)).warmup == 8
    assert (str(Return()), str(ROC(3, "high"))) == ("Return(1)", "ROC(3, high)")


@pytest.mark.parametrize("period", [0, -1, 1.5, True, "2"])
def test_change_with_a_period_that_is_none_says_what_it_takes(period: object) -> None:
    with pytest.raises(ValueError, match="period is a whole number of bars, 1 or more"):
        ROC(period)  # type: ignore[arg-type]


BAR = {"open": [4.0, nan], "high": [8.0, 2.0], "low": [2.0, 1.0], "close": [5.0, 1.5], "volume": [1.0, 1.0]}


def test_prices_are_those_of_their_formulas() -> None:
    assert [spec.compute(BAR)["value"][0] for spec in (TypicalPrice(), MedianPrice(), WeightedPrice(), OHLC4())] == [
        5.0,
        5.0,
        5.0,
        4.75,
    ]


def test_prices_are_nan_where_a_price_they_use_is_not_finite_and_not_otherwise() -> None:
    second = {type(spec): spec.compute(BAR)["value"][1] for spec in (TypicalPrice(), MedianPrice(), WeightedPrice(), OHLC4())}
    assert second[TypicalPrice] == 1.5
    assert second[MedianPrice] == 1.5
    assert second[WeightedPrice] == 1.5
    assert math.isnan(second[OHLC4])
    for spec in (TypicalPrice(), MedianPrice(), WeightedPrice(), OHLC4()):
        assert np.isnan(spec.compute({**BAR, "high": [inf, -inf]})["value"]).all()


def test_prices_are_of_whole_bars() -> None:
    assert [spec.warmup for spec in (TypicalPrice(), MedianPrice(), WeightedPrice(), OHLC4())] == [1, 1, 1, 1]
    with pytest.raises(IndicatorError, match="TypicalPrice is computed from whole bars"):
        TypicalPrice().of("close")
