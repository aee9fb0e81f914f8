from __future__ import annotations

import math

import numpy as np
import pytest

from stratd.indicators.base import Indicator
from stratd.indicators.catalogue.ema import EMA
from stratd.indicators.catalogue.ema_family import DEMA, T3, TEMA, TRIX
from stratd.indicators.catalogue.ewm import EWMVolatility
from stratd.indicators.catalogue.macd import MACD
from stratd.indicators.catalogue.ppo import PPO
from stratd.indicators.catalogue.rma import RMA
from stratd.indicators.graph import Planner

Floats = np.ndarray

SPECS = [RMA(5), DEMA(5), TEMA(5), T3(4), TRIX(5), PPO(3, 6, 4), EWMVolatility(5)]


def walk(rows: int, seed: int = 1) -> Floats:
    return np.round(30 * np.exp(np.cumsum(np.random.default_rng(seed).normal(0, 2e-3, rows))), 2)


@pytest.mark.parametrize("spec", SPECS, ids=str)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_recursive_average_with_bad_rows_goes_on_as_if_they_had_not_been(spec: Indicator, bad: float) -> None:
    close = walk(300)
    holes = np.array([3, 7, 40, 41, 42, 200])
    filled = np.insert(close, holes, bad)
    is_bad = ~np.isfinite(filled)
    clean, got = spec.compute({"close": close}), spec.compute({"close": filled}, blocks=[5, 41, 42, 43, 150])
    for name in clean:
        assert np.isnan(got[name][is_bad]).all()
        np.testing.assert_array_equal(got[name][~is_bad], clean[name])


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_recursive_average_of_a_source_that_warms_up_is_only_delayed(spec: Indicator) -> None:
    close = walk(200)
    late = np.concatenate([np.full(20, np.nan), close])
    clean, got = spec.compute({"close": close}), spec.compute({"close": late})
    for name in clean:
        assert np.isnan(got[name][:20]).all()
        np.testing.assert_array_equal(got[name][20:], clean[name])


@pytest.mark.parametrize(
    ("spec", "warmup"),
    [(RMA(5), 5), (DEMA(5), 9), (TEMA(5), 13), (T3(5), 25), (TRIX(5), 14), (PPO(3, 6, 4), 9), (EWMVolatility(5), 6)],
    ids=str,
)
def test_recursive_average_says_how_long_it_warms_up(spec: Indicator, warmup: int) -> None:
    assert spec.warmup == warmup
    assert max(int(np.argmax(~np.isnan(values))) for values in spec.compute({"close": walk(100)}).values()) == warmup - 1


def test_ppo_has_its_own_values_before_the_signal() -> None:
    assert PPO().output("ppo").warmup == 26
    assert PPO().output("signal").warmup == 34


@pytest.mark.parametrize("spec", [RMA(14), DEMA(14), TEMA(14), T3(14)], ids=str)
def test_recursive_average_of_constant_prices_is_the_price(spec: Indicator) -> None:
    got = spec.compute({"close": np.full(20_000, 100.25)})["value"][spec.warmup - 1 :]
    np.testing.assert_allclose(got, 100.25, rtol=2e-15)


def test_oscillators_of_constant_prices_are_zero() -> None:
    close = np.full(300, 100.25)
    assert (TRIX(5).compute({"close": close})["value"][13:] == 0.0).all()
    assert (EWMVolatility(5).compute({"close": close})["value"][5:] == 0.0).all()
    assert all((values[40:] == 0.0).all() for values in PPO().compute({"close": close}).values())


def test_oscillators_of_prices_of_zero_are_zero() -> None:
    close = np.zeros(100)
    assert (TRIX(2).compute({"close": close})["value"][5:] == 0.0).all()
    assert (PPO(2, 4, 3).compute({"close": close})["histogram"][6:] == 0.0).all()


def test_rma_after_a_spike_is_the_weighted_sum_of_all_rows() -> None:
    period, spike = 7, 1_000
    close = walk(200_000)
    close[spike] = 1e9
    got = RMA(period).compute({"close": close})["value"]
    shares = (1 / period) * (1 - 1 / period) ** np.arange(990)  # older rows have less than 1e-66
    for row in (spike, spike + 1, spike + 100, spike + 600, 100_000, 199_999):
        assert got[row] == pytest.approx(math.fsum(shares * close[row : row - 990 : -1]), rel=1e-12)


def test_dema_tema_and_trix_of_one_period_share_their_averages() -> None:
    from stratd.data.calendars import utc_table
    from stratd.indicators.base import StreamInfo
    from stratd.model import Interval

    stream = StreamInfo("X", Interval("1m"), 0, 0, None, utc_table())
    planner = Planner(lambda symbol, interval: stream)
    specs = (EMA(8), DEMA(8), TEMA(8), TRIX(8))
    parts = {part.key: part.spec for spec in specs for part in planner.plan(spec, stream).parts}
    assert sum(isinstance(spec, EMA) for spec in parts.values()) == 3


def test_ppo_shares_its_averages_and_their_difference_with_macd() -> None:
    from stratd.data.calendars import utc_table
    from stratd.indicators.base import StreamInfo
    from stratd.model import Interval

    stream = StreamInfo("X", Interval("1m"), 0, 0, None, utc_table())
    planner = Planner(lambda symbol, interval: stream)
    macd = {part.key for part in planner.plan(MACD(), stream).parts}
    ppo = {part.key for part in planner.plan(PPO(), stream).parts}
    assert len(macd & ppo) == 3


def test_t3_is_three_generalised_demas() -> None:
    """Tillson's definition, on EMAs that have forgotten how they began."""
    close, v, period = walk(3_000), 0.6, 6

    def gd(values: Floats) -> Floats:
        one = EMA(period).compute({"close": values})["value"]
        return (1 + v) * one - v * EMA(period).compute({"close": one})["value"]

    got = T3(period, v).compute({"close": close})["value"]
    np.testing.assert_allclose(got[300:], gd(gd(gd(close)))[300:], rtol=1e-12)


def test_ewm_volatility_after_a_spike_is_that_of_exact_sums() -> None:
    """Against the weighted sum over all earlier returns, written out and added by fsum."""
    period, rows = 10, 400
    close = walk(rows)
    close[50] = 1e12
    got = EWMVolatility(period).compute({"close": close})["value"]
    returns = [math.log(b / a) for a, b in zip(close[:-1].tolist(), close[1:].tolist(), strict=True)]
    weight = 2 / (period + 1)
    for row in (10, 50, 51, 52, 90, 399):
        shares = [weight * (1 - weight) ** (row - 1 - i) for i in range(row)]
        shares[0] /= weight
        mean = math.fsum(share * r for share, r in zip(shares, returns[:row], strict=True))
        variance = math.fsum(share * (r - mean) ** 2 for share, r in zip(shares, returns[:row], strict=True))
        assert got[row] == pytest.approx(math.sqrt(variance), rel=1e-11)


def test_ewm_volatility_over_prices_of_any_size_is_never_infinite() -> None:
    close = np.tile([1e-300, 1e300, 5e-324, 1.7e308], 20)
    got = EWMVolatility(3).compute({"close": close})["value"]
    assert np.isfinite(got[3:]).all()
    assert got[-1] == pytest.approx(1_400, rel=0.1)


@pytest.mark.parametrize("bad", [0.0, -1.0])
def test_ewm_volatility_leaves_out_prices_that_have_no_logarithm(bad: float) -> None:
    close = walk(60)
    filled = np.insert(close, [0, 20, 30], bad)
    clean, got = EWMVolatility(4).compute({"close": close})["value"], EWMVolatility(4).compute({"close": filled})["value"]
    assert np.isnan(got[filled == bad]).all()
    np.testing.assert_array_equal(got[filled != bad], clean)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: RMA(0), r"period is a whole number of bars, 1 or more, not 0"),
        (lambda: DEMA(1.5), r"period is a whole number of bars, 1 or more, not 1\.5"),  # type: ignore[arg-type]
        (lambda: TEMA(-1), r"period is a whole number"),
        (lambda: TRIX(True), r"period is a whole number"),
        (lambda: T3(5, 1.2), r"volume_factor is a number from 0 to 1, not 1\.2"),
        (lambda: T3(5, -0.1), r"volume_factor is a number of 0 or more, not -0\.1"),
        (lambda: T3(5, math.nan), r"volume_factor is a number of 0 or more, not nan"),
        (lambda: PPO(26, 12), r"fast is below slow, not 26 and 12"),
        (lambda: PPO(signal=0), r"signal is a whole number of bars, 1 or more, not 0"),
        (lambda: EWMVolatility(1), r"period is a whole number of bars, 2 or more, not 1"),
        (lambda: RMA(5, "clsoe"), r"did you mean 'close'"),
    ],
)
def test_recursive_average_with_impossible_parameters_says_why(make: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make()  # type: ignore[operator]
