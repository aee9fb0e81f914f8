"""True range, RSI, ATR, NATR, ADX: what is special about them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.adx import ADX, DirectionalAverage, DirectionalMovement
from stratd.indicators.catalogue.atr import ATR, NATR
from stratd.indicators.catalogue.rsi import RSI
from stratd.indicators.catalogue.true_range import TrueRange

Bars = dict[str, np.ndarray]


def walk(rows: int, seed: int = 1) -> Bars:
    random = np.random.default_rng(seed)
    close = np.round(50 + np.cumsum(random.normal(0, 0.05, rows)), 2)
    high = np.round(close + 0.01 * random.integers(0, 6, rows), 2)
    low = np.round(close - 0.01 * random.integers(0, 6, rows), 2)
    return {"high": high, "low": low, "close": close}


def flat(rows: int, price: float = 10.0) -> Bars:
    return {name: np.full(rows, price) for name in ("high", "low", "close")}


ALL = [TrueRange(), RSI(), RSI(2), ATR(), ATR(1), NATR(), DirectionalMovement(), ADX(), ADX(3)]


FIELDS = [(spec, field) for spec in ALL for field in ("high", "low", "close") if field == "close" or not isinstance(spec, RSI)]


@pytest.mark.parametrize(("spec", "field"), FIELDS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_indicator_after_a_bad_row_goes_on_as_if_it_had_not_been(spec: Indicator, bad: float, field: str) -> None:
    bars = walk(200)
    rows = np.array([0, 1, 5, 20, 90, 91, 150])
    dirty = {name: np.insert(values, rows, 1.0) for name, values in bars.items()}
    at = rows + np.arange(len(rows))
    dirty[field][at] = bad
    clean, got = spec.compute(bars), spec.compute(dirty)
    for name in spec.outputs:
        assert np.isnan(got[name][at]).all()
        np.testing.assert_array_equal(np.delete(got[name], at), clean[name])


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_indicator_of_rows_that_begin_late_is_only_delayed(spec: Indicator) -> None:
    bars = walk(120)
    late = {name: np.concatenate([np.full(37, np.nan), values]) for name, values in bars.items()}
    clean, got = spec.compute(bars), spec.compute(late)
    for name in spec.outputs:
        np.testing.assert_array_equal(got[name][37:], clean[name])


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (TrueRange(), {"value": 0.0}),
        (RSI(5), {"value": 0.0}),
        (ATR(5), {"value": 0.0}),
        (NATR(5), {"value": 0.0}),
        (ADX(5), {"adx": 0.0, "plus_di": 0.0, "minus_di": 0.0, "dx": 0.0}),
    ],
    ids=str,
)
def test_indicator_of_bars_that_never_move_is_zero(spec: Indicator, expected: dict[str, float]) -> None:
    got = spec.compute(flat(40))
    for name, value in expected.items():
        assert set(got[name][9:]) == {value}
        assert np.isnan(got[name][0])


def test_rsi_of_rises_only_is_100_and_of_falls_only_0() -> None:
    rising = np.arange(1.0, 40.0)
    assert set(RSI(14).compute({"close": rising})["value"][14:]) == {100.0}
    assert set(RSI(14).compute({"close": rising[::-1]})["value"][14:]) == {0.0}


def test_rsi_of_another_indicator_has_the_warmup_of_both() -> None:
    spec = RSI(9).of(RSI(3))
    got = spec.compute(walk(60))["value"]
    assert spec.warmup == 3 + 1 + 9
    assert np.flatnonzero(~np.isnan(got))[0] == spec.warmup - 1


def test_rsi_of_a_halted_stream_stays_where_it_is() -> None:
    close = np.concatenate([walk(100)["close"], np.full(60_000, 51.37)])
    close[100] = 51.37
    got = RSI(3).compute({"close": close})["value"]
    assert 0.0 < got[101] < 100.0
    np.testing.assert_allclose(got[101:], got[101], rtol=1e-12)


def test_directional_movement_of_a_halted_stream_stays_where_it_is() -> None:
    halted = {name: np.concatenate([values, np.full(60_000, 51.37)]) for name, values in walk(100).items()}
    got = DirectionalMovement(3).compute(halted)
    assert got["plus_di"][101] > 0.0
    for name in ("plus_di", "minus_di", "dx"):
        np.testing.assert_allclose(got[name][101:], got[name][101], rtol=1e-12)


def test_rsi_after_a_halt_is_that_of_its_first_moves() -> None:
    close = np.concatenate([walk(100)["close"], np.full(60_000, 51.37), [51.38, 51.37]])
    got = RSI(2).compute({"close": close})["value"]
    assert got[-2] == 100.0
    np.testing.assert_allclose(got[-1], 100.0 / 3.0, rtol=1e-12)  # half of a rise that is halved, a whole fall


@pytest.mark.parametrize("scale", [1e-200, 1e-9, 1e200])
def test_ratios_of_prices_of_any_size_are_the_same(scale: float) -> None:
    power = 2.0 ** np.round(np.log2(scale))
    bars = walk(300)
    scaled = {name: values * power for name, values in bars.items()}
    for spec in (RSI(14), ADX(14), NATR(14)):
        one, two = spec.compute(bars), spec.compute(scaled)
        for name in spec.outputs:
            np.testing.assert_array_equal(one[name], two[name])


def test_atr_after_a_huge_spike_is_near_the_exact_average() -> None:
    bars = walk(200_000)
    bars["high"][100] = 1e12
    got = ATR(14).compute(bars)["value"]
    # What a row of the past still weighs after 2,000 rows is 1e-64: exact fractions of those rows suffice.
    high, low, close = (bars[name] for name in ("high", "low", "close"))
    average = Fraction(0)
    for row in range(198_000, 200_000):
        ends = (float(high[row]), float(close[row - 1])), (float(low[row]), float(close[row - 1]))
        reach = Fraction(max(ends[0])) - Fraction(min(ends[1]))
        average = Fraction(round(float((average * 13 + reach) / 14) * 2**80), 2**80)
    np.testing.assert_allclose(got[-1], float(average), rtol=1e-12)


def test_natr_of_a_close_of_zero_is_zero() -> None:
    bars = walk(60)
    bars["close"][40], bars["low"][40] = 0.0, 0.0
    got = NATR(14).compute(bars)["value"]
    assert got[40] == 0.0
    assert got[41] > 0.0


def test_adx_outputs_begin_each_at_its_own_row() -> None:
    spec = ADX(14)
    got = spec.compute(walk(100))
    first = {name: int(np.flatnonzero(~np.isnan(values))[0]) for name, values in got.items()}
    assert first == {"adx": 27, "plus_di": 14, "minus_di": 14, "dx": 14}
    assert {name: spec.output(name).warmup - 1 for name in spec.outputs} == first
    assert spec.warmup == 28


def test_adx_without_movement_stays_as_it_was() -> None:
    # Inside bars of a constant range: the sums of the movements are zero, that of the range is not.
    bars = {"high": np.full(50, 11.0), "low": np.full(50, 9.0), "close": np.full(50, 10.0)}
    got = ADX(5).compute(bars)
    assert set(got["plus_di"][5:]) == set(got["minus_di"][5:]) == set(got["adx"][9:]) == {0.0}
    # The average takes no rows in which neither index has a value above zero.
    plus, minus = np.array([30.0, 40.0, 0.0, 0.0, 10.0]), np.array([10.0, 40.0, 0.0, 0.0, 30.0])
    average = DirectionalAverage(2, "open", "close").compute({"open": plus, "close": minus})["value"]
    np.testing.assert_array_equal(average, [np.nan, 25.0, 25.0, 25.0, 37.5])


def test_movement_that_is_equal_both_ways_counts_for_neither() -> None:
    bars = {"high": 10.0 + np.arange(20.0), "low": 9.0 - np.arange(20.0), "close": np.full(20, 9.5)}
    got = DirectionalMovement(3).compute(bars)
    assert set(got["plus_di"][3:]) == set(got["minus_di"][3:]) == {0.0}


@pytest.mark.parametrize("period", [1, 0, -3, 2.5, True, "14"])
def test_period_that_cannot_be_is_refused(period: object) -> None:
    for kind in (RSI, ADX, DirectionalMovement):
        with pytest.raises(ValueError, match=r"period is a whole number of bars, 2 or more, not"):
            kind(period)  # type: ignore[arg-type]
    if period != 1 or period is True:
        for other in (ATR, NATR):
            with pytest.raises(ValueError, match=r"period is a whole number of bars, 1 or more, not"):
                other(period)  # type: ignore[arg-type]


def test_labels_and_equality_are_those_of_parameters() -> None:
    assert (str(RSI()), str(RSI(9, "open")), str(ATR(7)), str(ADX())) == ("RSI(14)", "RSI(9, open)", "ATR(7)", "ADX(14)")
    assert len({ATR(np.int64(14)), ATR()}) == 1  # type: ignore[arg-type]
