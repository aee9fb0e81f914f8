from __future__ import annotations

import math

import numpy as np
import pytest

from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.adaptive import KAMA, MAMA, VIDYA

Floats = np.ndarray


def walk(rows: int, seed: int = 2) -> Floats:
    return np.round(30 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 2e-3, rows))), 2)


def kama(close: Floats, *parameters: int) -> Floats:
    return KAMA(*parameters).compute({"close": close})["value"]


@pytest.mark.parametrize(("spec", "warmup"), [(KAMA(7), 8), (VIDYA(5, 4), 5), (MAMA(), 33)], ids=str)
def test_adaptive_average_of_a_source_that_warms_up_is_only_delayed(spec: Indicator, warmup: int) -> None:
    close = walk(200)
    late = np.concatenate([np.full(21, np.nan), close])
    clean, got = spec.compute({"close": close}), spec.compute({"close": late}, blocks=[10, 30])
    assert spec.warmup == warmup
    for name in clean:
        assert int(np.argmax(~np.isnan(clean[name]))) == warmup - 1
        assert np.isnan(got[name][:21]).all()
        np.testing.assert_array_equal(got[name][21:], clean[name])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e301])
@pytest.mark.parametrize(("spec", "window"), [(KAMA(6), 6), (VIDYA(14, 6), 6)], ids=["KAMA", "VIDYA"])
def test_kama_and_vidya_with_a_bad_row_have_no_value_while_it_is_in_the_window(spec: Indicator, window: int, bad: float) -> None:
    close = walk(100)
    close[40] = bad
    got = spec.compute({"close": close})["value"]
    assert np.isfinite(got[window:40]).all()
    assert np.isnan(got[40 : 40 + window + 1]).all()
    assert np.isfinite(got[40 + window + 1 :]).all()


def test_kama_after_a_bad_row_goes_on_from_where_it_was() -> None:
    close = walk(100)
    close[40] = np.nan
    got = kama(close, 6)
    change, path = abs(close[47] - close[41]), np.abs(np.diff(close[41:48])).sum()
    weight = (change / path * (2 / 3 - 2 / 31) + 2 / 31) ** 2
    assert got[47] == pytest.approx(got[39] + weight * (close[47] - got[39]), rel=1e-14)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 1e101])
def test_mama_with_bad_rows_goes_on_as_if_they_had_not_been(bad: float) -> None:
    close = walk(300)
    filled = np.insert(close, [2, 5, 40, 41, 120], bad)
    is_bad = ~(np.abs(filled) < 1e100)
    clean, got = MAMA().compute({"close": close}), MAMA().compute({"close": filled}, blocks=[4, 6, 42, 130])
    for name in clean:
        assert np.isnan(got[name][is_bad]).all()
        np.testing.assert_array_equal(got[name][~is_bad], clean[name])


def test_mama_of_prices_that_often_stand_still_equals_talib() -> None:
    """There the phase is that of rounding errors, so their order has to be the same."""
    talib = pytest.importorskip("talib")
    random = np.random.default_rng(5)
    close = np.round(100 + np.cumsum(0.01 * random.integers(-1, 2, 20_000) * (random.random(20_000) < 0.1)), 2)
    got, (mama, fama) = MAMA().compute({"close": close}), talib.MAMA(close)
    assert (np.convolve(np.diff(close) == 0, np.ones(30), "valid") == 30).sum() > 300
    np.testing.assert_allclose(got["mama"], mama, rtol=1e-12)
    np.testing.assert_allclose(got["fama"], fama, rtol=1e-12)


def test_mama_of_constant_prices_comes_to_the_price() -> None:
    got = MAMA().compute({"close": np.full(2_000, 12.34)})
    np.testing.assert_allclose(got["mama"][-500:], 12.34, rtol=1e-12)
    np.testing.assert_allclose(got["fama"][-500:], 12.34, rtol=1e-9)


def test_mama_long_after_a_spike_is_as_without_it() -> None:
    close = walk(3_000)
    spiked = close.copy()
    spiked[[500, 502]] = 1e12
    one, two = MAMA().compute({"close": close}), MAMA().compute({"close": spiked})
    for name in one:
        np.testing.assert_allclose(two[name][-500:], one[name][-500:], rtol=1e-9)


def test_kama_of_a_straight_line_is_its_fast_average() -> None:
    close = 10.0 - 0.25 * np.arange(30)
    got = kama(close, 5)
    weight = (2 / 3) ** 2
    assert got[20] == pytest.approx(got[19] + weight * (close[20] - got[19]), rel=1e-14)


def test_kama_where_prices_stand_still_is_fast_and_vidya_stays() -> None:
    close = np.concatenate([walk(50), np.full(40, 31.0)])
    fast, still = kama(close, 6), VIDYA(14, 6).compute({"close": close})["value"]
    assert fast[-1] == pytest.approx(31.0, rel=1e-7)  # (1 - 4 / 9) to the power of the 34 rows without a change in the window
    assert still[56] != 31.0
    assert (still[56:] == still[56]).all()


def test_vidya_of_a_straight_line_is_an_ema() -> None:
    close = 10.0 + 0.5 * np.arange(60)
    got = VIDYA(9, 4).compute({"close": close})["value"]
    for row in range(5, 60):
        assert got[row] == pytest.approx(got[row - 1] + 0.2 * (close[row] - got[row - 1]), rel=1e-13)


def one_step(close: Floats, got: Floats, row: int, period: int) -> float:
    """KAMA of a row from that of the row before, with a path that is added exactly."""
    path = math.fsum(abs(close[i] - close[i - 1]) for i in range(row - period + 1, row + 1))
    weight = (abs(close[row] - close[row - period]) / path * (2 / 3 - 2 / 31) + 2 / 31) ** 2
    return float(got[row - 1] + weight * (close[row] - got[row - 1]))


@pytest.mark.parametrize("period", [3, 10])
def test_kama_over_many_rows_with_a_spike_does_not_drift(period: int) -> None:
    close = walk(200_000)
    close[100_000] = 1e11
    got = kama(close, period)
    end = 100_000 + period + 1
    for row in (50_000, end, end + 19, end + 40 * period, 199_999):
        assert got[row] == pytest.approx(one_step(close, got, row, period), rel=1e-13)


def test_kama_after_spikes_that_no_sum_survives_is_right_within_33_windows() -> None:
    close = walk(2_000)
    close[[1_000, 1_003, 1_005]] = 1e40, 1.2345e22, 3.21e39
    got = kama(close, 10)
    for row in range(1_000 + 330, 2_000, 50):
        assert got[row] == pytest.approx(one_step(close, got, row, 10), rel=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: KAMA(1), r"period is a whole number of bars, 2 or more, not 1"),
        (lambda: KAMA(10, 30, 2), r"fast is below slow, not 30 and 2"),
        (lambda: KAMA(10, 0), r"fast is a whole number of bars, 1 or more, not 0"),
        (lambda: VIDYA(0), r"period is a whole number of bars, 1 or more, not 0"),
        (lambda: VIDYA(14, 1), r"momentum is a whole number of bars, 2 or more, not 1"),
        (lambda: MAMA(0.05, 0.5), r"slow_limit is at most fast_limit, and that at most 1, not 0\.5 and 0\.05"),
        (lambda: MAMA(1.5, 0.5), r"at most 1, not 0\.5 and 1\.5"),
        (lambda: MAMA(0.5, 0.0), r"slow_limit is a number above 0, not 0\.0"),
        (lambda: MAMA(source="closing"), r"source is an indicator, or one of"),
    ],
)
def test_adaptive_average_with_impossible_parameters_says_why(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
