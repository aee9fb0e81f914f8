"""SuperTrend, parabolic SAR, Keltner channel, Chandelier exit: what is special about them."""

from __future__ import annotations

import numpy as np
import pytest
import talib

from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.atr import ATR
from stratd.indicators.catalogue.channels import ChandelierExit, Keltner
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.trend import ParabolicSAR, SuperTrend

Bars = dict[str, np.ndarray]


def walk(rows: int, seed: int = 1) -> Bars:
    random = np.random.default_rng(seed)
    close = np.round(50 + np.cumsum(random.normal(0, 0.05, rows)), 2)
    high = np.round(close + 0.01 * random.integers(0, 6, rows), 2)
    low = np.round(close - 0.01 * random.integers(0, 6, rows), 2)
    return {"high": high, "low": low, "close": close}


def bars_of(high: list[float], low: list[float], close: list[float]) -> Bars:
    return {"high": np.array(high), "low": np.array(low), "close": np.array(close)}


@pytest.mark.parametrize("spec", [SuperTrend(), SuperTrend(2, 0.7), ParabolicSAR(), Keltner()], ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", ["high", "low"])
def test_indicator_after_a_bad_row_goes_on_as_if_it_had_not_been(spec: Indicator, bad: float, field: str) -> None:
    bars = walk(300)
    rows = np.array([0, 1, 2, 11, 90, 91, 150])
    dirty = {name: np.insert(values, rows, np.nan) for name, values in bars.items()}
    at = rows + np.arange(len(rows))
    dirty[field][at] = bad
    clean, got = spec.compute(bars), spec.compute(dirty)
    for name in spec.outputs:
        assert np.isnan(got[name][at]).all()
        np.testing.assert_array_equal(np.delete(got[name], at), clean[name])


def test_super_trend_by_hand_moves_its_bands_and_turns_as_written() -> None:
    # ATR(1) is the true range. Bars of range 2 about 10, 10, 13, 13, 9.
    bars = bars_of([11, 11, 14, 14, 10, 10], [9, 9, 12, 12, 8, 8], [10, 10, 13, 13, 9, 9])
    got = SuperTrend(1, 1.0).compute(bars)
    # True ranges: -, 2, 4, 2, 5, 2. Bands: 12/8, 17/9, 15/11, 14/4, 11/7.
    # Row 1: down, at 12. Row 2: the upper band stays 12, the close 13 is above: up, at 9. Row 3: the close before was above the
    # upper band, so that is taken anew; lower 11. Row 4: lower stays 11, the close 9 is below: down, at 14. Row 5: 11.
    np.testing.assert_array_equal(got["direction"], [np.nan, -1, 1, 1, -1, -1])
    np.testing.assert_array_equal(got["line"], [np.nan, 12, 9, 11, 14, 11])


def test_super_trend_close_on_a_band_turns_nothing() -> None:
    bars = bars_of([11, 11, 12, 12.5], [9, 9, 11, 12], [10, 10, 12, 12.25])
    got = SuperTrend(1, 1.0).compute(bars)
    np.testing.assert_array_equal(got["direction"][1:], [-1, -1, 1])
    np.testing.assert_array_equal(got["line"][1:3], [12, 12])


def test_super_trend_line_only_turns_across_the_price() -> None:
    bars = walk(3_000)
    got = SuperTrend().compute(bars)
    value, up = got["line"][10:], got["direction"][10:] > 0
    close = bars["close"][10:]
    assert 10 < np.count_nonzero(up[1:] != up[:-1]) < 1_000
    assert (value[up] <= close[up]).all()
    assert (value[~up] >= close[~up]).all()
    same = up[1:] == up[:-1]
    assert (np.diff(value)[same & up[1:]] >= 0).all()
    assert (np.diff(value)[same & ~up[1:]] <= 0).all()


def test_super_trend_of_bars_that_never_move_stays_down() -> None:
    bars = {name: np.full(50, 10.0) for name in ("high", "low", "close")}
    got = SuperTrend().compute(bars)
    assert set(got["line"][10:]) == {10.0}
    assert set(got["direction"][10:]) == {-1.0}


def test_super_trend_shares_its_average_true_range() -> None:
    assert ATR(10) in SuperTrend(10).sources
    assert SuperTrend(10).warmup == ATR(10).warmup == 11


@pytest.mark.parametrize(
    ("second_high", "second_low"),
    [(11.0, 9.5), (10.0, 8.0), (10.5, 8.75), (10.5, 8.5), (10.5, 9.0), (10.0, 9.0), (9.0, 8.0), (12.0, 11.0), (8.0, 8.0)],
)
@pytest.mark.parametrize("after", ["up", "down"])
def test_parabolic_sar_begins_as_talib_does(second_high: float, second_low: float, after: str) -> None:
    drift = np.arange(1, 20) * (0.3 if after == "up" else -0.3)
    high = np.concatenate([[10.0, second_high], second_high + drift])
    low = np.concatenate([[9.0, second_low], second_low + drift])
    got = ParabolicSAR().compute({"high": high, "low": low})["value"]
    np.testing.assert_allclose(got, talib.SAR(high, low, 0.02, 0.2), rtol=1e-14)


def test_parabolic_sar_on_whole_ticks_touched_exactly_turns_as_if_rounded_once() -> None:
    # 2.414e-05 + 0.1 * (2.424e-05 - 2.414e-05), rounded twice, lies below the last low of 2.415e-05; rounded once, on it.
    high = np.array([2.424e-05, 2.424e-05, 2.415e-05, 2.415e-05, 2.424e-05, 2.428e-05, 2.424e-05])
    low = np.array([2.424e-05, 2.414e-05, 2.414e-05, 2.415e-05, 2.415e-05, 2.415e-05, 2.415e-05])
    assert 2.414e-05 + 0.1 * (2.424e-05 - 2.414e-05) < 2.415e-05
    got = ParabolicSAR(0.1, 0.1).compute({"high": high, "low": low})["value"]
    assert got[4:].tolist() == [2.414e-05, 2.428e-05, 2.428e-05]


def test_parabolic_sar_of_bars_that_never_move_is_their_price() -> None:
    got = ParabolicSAR().compute({"high": np.full(30, 7.0), "low": np.full(30, 7.0)})["value"]
    assert np.isnan(got[0])
    assert set(got[1:]) == {7.0}


def test_keltner_of_a_period_and_another_has_their_columns_in_it() -> None:
    bars, spec = walk(200), Keltner(20, 2.0, 10)
    got = spec.compute(bars)
    middle, atr = EMA(20).compute(bars)["value"], ATR(10).compute(bars)["value"]
    np.testing.assert_array_equal(got["middle"], middle)
    np.testing.assert_array_equal(got["upper"], middle + 2.0 * atr)
    assert spec.output("middle").warmup == 20
    assert Keltner(5, 2.0, 10).output("middle").warmup == 5
    assert Keltner(5, 2.0, 10).output("upper").warmup == Keltner(5, 2.0, 10).warmup == 11


def test_keltner_of_bars_that_never_move_is_one_line() -> None:
    bars = {name: np.full(60, 10.0) for name in ("high", "low", "close")}
    got = Keltner().compute(bars)
    for name in ("middle", "upper", "lower"):
        assert set(got[name][19:]) == {10.0}


def test_chandelier_with_a_nan_in_its_window_has_no_value_and_then_recovers() -> None:
    bars = walk(200)
    dirty = {name: values.copy() for name, values in bars.items()}
    for values in dirty.values():
        values[60] = np.nan
    got = ChandelierExit(22).compute(dirty)
    for values in got.values():
        assert np.isnan(values[60:82]).all()
        assert np.isfinite(values[82:]).all()


def test_parameters_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="width is a number above 0, not 0"):
        SuperTrend(10, 0)
    with pytest.raises(ValueError, match="width is a number above 0, not nan"):
        Keltner(20, float("nan"))
    with pytest.raises(ValueError, match="atr_period is a whole number of bars, 1 or more, not 0"):
        Keltner(20, 2.0, 0)
    with pytest.raises(ValueError, match="width is a number above 0, not -1"):
        ChandelierExit(22, -1)
    with pytest.raises(ValueError, match="period is a whole number of bars, 1 or more, not 0"):
        ChandelierExit(0)
    with pytest.raises(ValueError, match="step is a number above 0, not 0"):
        ParabolicSAR(0)
    with pytest.raises(ValueError, match=r"step is not above most, not 0\.3 and 0\.2"):
        ParabolicSAR(0.3)
