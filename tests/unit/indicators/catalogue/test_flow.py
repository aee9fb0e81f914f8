from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from stratd.errors import IndicatorError
from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.flow import CMF, MFI

nan, inf = math.nan, math.inf
Floats = NDArray[np.float64]
Bars = dict[str, Floats]


def flat_bars(prices: Floats | list[float], volume: Floats | list[float]) -> Bars:
    """Bars whose prices are all the same."""
    price = np.array(prices, float)
    return {"high": price, "low": price, "close": price, "volume": np.array(volume, float)}


def walk(rows: int) -> Bars:
    random = np.random.default_rng(7)
    close = 50 + np.cumsum(random.normal(0, 0.02, rows))
    volume = random.lognormal(2, 2, rows)
    return {"high": close + random.random(rows), "low": close - random.random(rows), "close": close, "volume": volume}


def value(spec: Indicator, bars: Bars) -> Floats:
    return spec.compute(bars)["value"]


def test_mfi_is_the_share_of_money_at_rising_prices() -> None:
    got = value(MFI(3), flat_bars([10, 20, 10, 10, 30], [9, 1, 6, 5, 2]))
    np.testing.assert_array_equal(got, [nan, nan, nan, 25.0, 50.0])  # 20 up, 60 down, 0; then 60 up, 60 down


def test_mfi_of_prices_that_only_rise_or_only_fall_is_exactly_100_or_0() -> None:
    prices = np.concatenate([np.linspace(3.3, 9.7, 60), np.linspace(9.1, 1.1, 60)])
    got = value(MFI(5), flat_bars(prices, np.random.default_rng(1).lognormal(0, 3, 120)))
    assert (got[5:60] == 100.0).all()
    assert (got[64:] == 0.0).all()


def test_mfi_without_movement_or_without_volume_is_zero() -> None:
    prices = np.concatenate([np.arange(1.1, 11.0), np.full(10, 10.1)])
    assert (value(MFI(4), flat_bars(prices, np.full(20, 0.3)))[13:] == 0.0).all()
    volume = np.concatenate([np.full(10, 0.7), np.zeros(10)])
    got = value(MFI(4), flat_bars(np.arange(20) % 3 + 0.1, volume))
    assert (got[13:] == 0.0).all()
    assert (got[4:13] > 0.0).any()


def test_mfi_takes_a_change_by_rounding_alone_for_none() -> None:
    bars = flat_bars([0.3, 0.1 + 0.2, 0.3, 0.1 + 0.2], [1, 1, 1, 1])
    assert value(MFI(2), bars)[-1] == 0.0


@pytest.mark.parametrize("name", ["high", "low", "close", "volume"])
@pytest.mark.parametrize("bad", [nan, inf, -inf])
@pytest.mark.parametrize(("spec", "lost"), [(MFI(4), 5), (CMF(4), 4)])
def test_flow_is_nan_while_a_bad_value_is_in_its_window_and_right_again_after_it(
    name: str, bad: float, spec: Indicator, lost: int
) -> None:
    bars = walk(80)
    clean = value(spec, bars)
    bars[name][40] = bad
    got = value(spec, bars)
    assert np.flatnonzero(np.isnan(got[spec.warmup - 1 :])).tolist() == list(range(41 - spec.warmup, 41 - spec.warmup + lost))
    np.testing.assert_allclose(got[40 + lost :], clean[40 + lost :], rtol=1e-12)


def test_cmf_weighs_the_place_of_the_close_by_volume() -> None:
    bars = {
        "high": np.array([2.0, 4.0, 5.0]),
        "low": np.array([1.0, 2.0, 5.0]),
        "close": np.array([2.0, 2.5, 5.0]),
        "volume": np.array([1.0, 3.0, 4.0]),
    }
    np.testing.assert_array_equal(value(CMF(2), bars), [nan, (1.0 - 1.5) / 4.0, -1.5 / 7.0])


def test_cmf_of_bars_without_range_or_without_volume_is_zero() -> None:
    assert (value(CMF(3), flat_bars(np.arange(1.0, 10.0), np.ones(9)))[2:] == 0.0).all()
    bars = walk(30)
    bars["volume"][10:] = 0.0
    got = value(CMF(5), bars)
    assert (got[14:] == 0.0).all()
    assert (got[4:14] != 0.0).all()


def test_cmf_at_the_high_or_low_is_one_or_minus_one() -> None:
    bars = walk(40)
    bars["close"] = bars["high"].copy()
    np.testing.assert_allclose(value(CMF(6), bars)[5:], 1.0, rtol=1e-12)
    bars["close"] = bars["low"].copy()
    np.testing.assert_allclose(value(CMF(6), bars)[5:], -1.0, rtol=1e-12)


def test_flow_over_many_rows_with_a_huge_volume_does_not_drift() -> None:
    bars = walk(200_000)
    bars["volume"][100_000] = 1e14
    index, money = value(MFI(14), bars), value(CMF(20), bars)
    high, low, close, volume = (bars[name] for name in ("high", "low", "close", "volume"))
    price = (high + low + close) / 3.0
    flow = price * volume * np.sign(np.diff(price, prepend=nan))
    place = ((close - low) - (high - close)) / (high - low)
    for row in (*range(100_000, 100_050), *range(199_900, 200_000)):
        window = flow[row - 13 : row + 1]
        up = math.fsum(window[window > 0])
        assert index[row] == pytest.approx(100 * up / math.fsum(abs(window)), rel=1e-10, abs=1e-11)
        window = slice(row - 19, row + 1)
        assert money[row] == pytest.approx(math.fsum(place[window] * volume[window]) / math.fsum(volume[window]), abs=1e-12)


def test_flow_tells_its_warmup_and_refuses_what_it_cannot_do() -> None:
    assert (MFI().warmup, CMF().warmup, MFI(1).warmup, CMF(1).warmup) == (15, 20, 2, 1)
    for kind in (MFI, CMF):
        with pytest.raises(ValueError, match="period is a whole number of bars, 1 or more, not 0"):
            kind(0)
        with pytest.raises(IndicatorError, match="computed from whole bars"):
            kind().of("close")
