"""Stochastic, FastStochastic, StochasticRSI, CCI: no range, rows that are not numbers, warm-up by output, shared parts."""

from __future__ import annotations

import numpy as np
import pytest

from stratd.indicators.catalogue.cci import CCI
from stratd.indicators.catalogue.extremes import Highest
from stratd.indicators.catalogue.rsi import RSI
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.catalogue.stochastic import FastStochastic, Stochastic, StochasticRSI


def flat(rows: int, price: float = 30.07) -> dict[str, np.ndarray]:
    return {name: np.full(rows, price) for name in ("open", "high", "low", "close")}


def walk(rows: int, seed: int = 1) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    close = np.round(50 + np.cumsum(random.normal(0, 0.1, rows)), 2)
    return {"high": close + 0.02 * random.integers(0, 4, rows), "low": close - 0.02 * random.integers(0, 4, rows), "close": close}


@pytest.mark.parametrize("spec", [Stochastic(), FastStochastic(), StochasticRSI(), CCI()], ids=str)
def test_oscillator_of_a_market_that_stands_still_is_zero(spec: Stochastic) -> None:
    for values in spec.compute(flat(60), tick=0.01).values():
        assert (values[spec.warmup - 1 :] == 0.0).all()


def test_stochastic_rsi_of_a_price_that_stops_is_zero_not_noise() -> None:
    bars = walk(200)
    bars["close"][100:] = bars["close"][99]
    k = StochasticRSI().compute(bars)["k"]
    assert 0.0 < k[18:100].mean() < 100.0
    assert (k[105:] == 0.0).all()


def test_stochastic_outputs_begin_as_early_as_they_can() -> None:
    bars = walk(60)
    for spec, first in (
        (FastStochastic(5, 3), {"k": 4, "d": 6}),
        (Stochastic(5, 3, 4), {"k": 6, "d": 9}),
        (StochasticRSI(14, 5, 3), {"k": 18, "d": 20}),
    ):
        got = spec.compute(bars)
        for name, row in first.items():
            assert int(np.argmax(~np.isnan(got[name]))) == row == spec.output(name).warmup - 1


def test_stochastic_with_a_bad_bar_is_right_again_when_it_has_left() -> None:
    bars, dirty = walk(100), walk(100)
    for name in dirty:
        dirty[name][50] = np.nan
    clean, got = (Stochastic(5, 3, 3).compute(which) for which in (bars, dirty))
    assert np.isnan(got["k"][50:57]).all()
    assert np.isnan(got["d"][50:59]).all()
    np.testing.assert_allclose(got["k"][57:], clean["k"][57:], rtol=1e-12)
    np.testing.assert_allclose(got["d"][59:], clean["d"][59:], rtol=1e-12)


def test_stochastic_close_at_the_ends_of_the_range_gives_0_and_100() -> None:
    bars = {"high": np.full(9, 3.0), "low": np.full(9, 1.0), "close": np.array([1.0] * 5 + [3.0] * 4)}
    np.testing.assert_array_equal(FastStochastic(3, 1).compute(bars)["k"][2:], [0, 0, 0, 100, 100, 100, 100])


def test_stochastics_share_their_parts() -> None:
    fast, slow = FastStochastic(5, 3).parts(), Stochastic(5, 3, 3).parts()
    assert slow["k"] == fast["d"]
    rsi = RSI(14)
    assert StochasticRSI().parts()["k"].sources[2:3] == (Highest(5, rsi),)  # type: ignore[attr-defined]


def test_stochastic_of_parameters_that_are_no_periods_names_the_parameter() -> None:
    with pytest.raises(ValueError, match="slow_k is a whole number of bars, 1 or more, not 0"):
        Stochastic(5, 0, 3)
    with pytest.raises(ValueError, match="fast_d is a whole number of bars, 1 or more, not 2.5"):
        FastStochastic(5, 2.5)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="period is a whole number of bars, 2 or more, not 1"):
        StochasticRSI(1)


def test_stochastic_rsi_of_another_source_is_that_of_its_rsi() -> None:
    bars = walk(300)
    got = StochasticRSI().of(SMA(5)).compute(bars)["k"]
    average = SMA(5).compute(bars)["value"]
    np.testing.assert_allclose(got[4:], StochasticRSI().compute({"close": average[4:]})["k"], atol=1e-6)


def test_cci_is_nan_while_a_bad_row_is_in_the_window_and_right_after() -> None:
    bars, dirty = walk(100), walk(100)
    dirty["high"][40], dirty["low"][60] = np.inf, np.nan
    clean, got = (CCI(10).compute(which)["value"] for which in (bars, dirty))
    assert np.isnan(got[[*range(40, 50), *range(60, 70)]]).all()
    np.testing.assert_array_equal(np.delete(got, range(40, 70))[9:], np.delete(clean, range(40, 70))[9:])
