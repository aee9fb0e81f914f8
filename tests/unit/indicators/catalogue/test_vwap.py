"""VWAP: sessions, anchors, no volume, no drift."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from stratd.indicators.catalogue.vwap import VWAP, AnchoredVWAP
from stratd.indicators.computation import Computation

from ....support.session_bars import made_up_days, new_york_bars, new_york_sessions, utc_sessions, xnys
from ..cases.cumulative import anchored_vwap, vwap

DAY = 86_400_000_000_000
MONDAY = 1_704_672_000_000_000_000


def bars_of(prices: Any, volumes: Any, **more: Any) -> dict[str, Any]:
    return {name: np.asarray(prices, float) for name in ("high", "low", "close")} | {"volume": np.asarray(volumes, float)} | more


@pytest.mark.shared_data
@pytest.mark.parametrize("minutes", [1, 5])
@pytest.mark.parametrize("file", ["us_equity/SPY_2011-03_dst", "us_equity/GOOG_2015-12", "us_equity_basket_2019-02/AMT"])
def test_vwap_on_real_bars_begins_again_with_each_session(file: str, minutes: int) -> None:
    bars = new_york_bars(file, minutes)
    frame = new_york_sessions(bars)
    assert frame["session"].nunique() > 2
    got = VWAP().compute(bars, calendar=xnys(), interval=f"{minutes}m", blocks=[1, 77, 200])
    np.testing.assert_allclose(got["value"], vwap("session")(frame)["value"], rtol=1e-13)


@pytest.mark.shared_data
def test_vwap_regular_hours_only_leaves_other_bars_out() -> None:
    bars = new_york_bars("us_equity/GOOG_2015-12")
    frame = new_york_sessions(bars)
    regular = ((frame["minute"] >= 0) & (frame["left"] > 0)).to_numpy()
    got = VWAP().compute(bars, calendar=xnys(False))["value"]
    np.testing.assert_array_equal(np.isnan(got), ~regular)
    np.testing.assert_allclose(got[regular], vwap("session")(frame[regular])["value"], rtol=1e-13)


def test_vwap_without_volume_is_nan_until_there_is_some_and_then_stays() -> None:
    got = VWAP("never").compute(bars_of([10, 11, 12, 13], [0, 5, 0, 5]))["value"]
    np.testing.assert_array_equal(got, [np.nan, 11, 11, 12])


def test_vwap_each_session_without_volume_yet_is_nan() -> None:
    times = MONDAY + DAY // 2 * np.arange(4)
    got = VWAP().compute(bars_of([10, 11, 12, 13], [5, 5, 0, 5], open_time=times))["value"]
    np.testing.assert_array_equal(got, [10, 10.5, np.nan, 13])


@pytest.mark.parametrize("field", ["high", "low", "close", "volume"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e301])
def test_vwap_row_that_is_not_finite_adds_nothing(field: str, bad: float) -> None:
    bars = bars_of([10, 11, 12, 13, 14], [1, 1, 1, 1, 1])
    bars[field] = bars[field].copy()
    bars[field][[0, 2]] = bad
    np.testing.assert_array_equal(VWAP("never").compute(bars)["value"], [np.nan, 11, np.nan, 12, 38 / 3])


def test_vwap_negative_volume_adds_nothing() -> None:
    np.testing.assert_array_equal(VWAP("never").compute(bars_of([10, 11, 12], [2, -1, 2]))["value"], [10, np.nan, 11])


def test_vwap_prices_below_zero_are_prices() -> None:
    np.testing.assert_array_equal(VWAP("never").compute(bars_of([-36, -38], [1, 1]))["value"], [-36, -37])


def test_vwap_by_period_counts_every_row() -> None:
    got = VWAP(2).compute(bars_of([10, 12, np.nan, 20, 30], [1, 1, 1, 1, 1]))["value"]
    np.testing.assert_array_equal(got, [10, 11, np.nan, 20, 30])


@pytest.mark.parametrize("reset", ["session", 2])
def test_vwap_beginning_again_forgets_what_rounding_has_lost(reset: Any) -> None:
    times = MONDAY + DAY // 2 * np.arange(4)
    got = VWAP(reset).compute(bars_of([8, 8, 8, 8], [1e17, 3.3, 1, 1], open_time=times))["value"]
    np.testing.assert_array_equal(got, [8, 8, 8, 8])


def test_vwap_range_of_zero_is_the_price() -> None:
    random = np.random.default_rng(2)
    got = VWAP("never").compute(bars_of(np.full(5000, 33.37), random.uniform(0.1, 9e5, 5000)))["value"]
    np.testing.assert_allclose(got, 33.37, rtol=1e-15)


def test_vwap_after_200_000_rows_and_a_spike_equals_an_exact_sum() -> None:
    random = np.random.default_rng(9)
    rows = 200_000
    price = np.round(random.uniform(90, 110, rows), 2)
    volume = random.uniform(0.001, 3, rows)
    volume[1_000] = 1e15
    bars = bars_of(price, volume)
    got = VWAP("never").compute(bars, blocks=range(4096, rows, 4096))["value"]
    terms = (price + price + price) / 3.0 * volume
    for row in (999, 1_000, 1_001, 50_000, rows - 1):
        exact = math.fsum(terms[: row + 1]) / math.fsum(volume[: row + 1])
        assert abs(got[row] - exact) <= 4e-16 * exact
    # A naive sum would have lost what came after the spike.
    naive = np.cumsum(volume)[-1] - 1e15
    assert abs(naive / math.fsum(np.delete(volume, 1_000)) - 1) > 1e-6


@pytest.mark.parametrize("offset", [-DAY, 0, 1, 20 * DAY // 10, 900 * DAY])
def test_anchored_vwap_begins_with_the_first_bar_that_opens_at_the_anchor_or_later(offset: int) -> None:
    bars = made_up_days(1_000)
    anchor = int(bars["open_time"][300]) + offset
    got = AnchoredVWAP(anchor).compute(bars, interval="5m", blocks=[10, 299, 300, 301, 302, 500])["value"]
    expected = anchored_vwap(anchor)(utc_sessions(bars))["value"]
    assert np.isnan(expected).all() == (offset == 900 * DAY)
    np.testing.assert_allclose(got, expected, rtol=1e-13)


@pytest.mark.shared_data
def test_anchored_vwap_at_a_real_open_is_the_vwap_of_regular_hours_on_that_day() -> None:
    bars = new_york_bars("us_equity/SPY_2011-03_dst")
    frame = new_york_sessions(bars)
    day = frame["session"] == frame["session"].iloc[9_000]
    chosen = (day & (frame["minute"] >= 0) & (frame["left"] > 0)).to_numpy()
    opened = int(bars["open_time"][chosen][0])
    got = AnchoredVWAP(opened).compute(bars)["value"]
    np.testing.assert_allclose(got[chosen], VWAP().compute(bars, calendar=xnys(False))["value"][chosen], rtol=1e-15)
    assert np.isnan(got[: int(np.argmax(chosen))]).all()


def test_anchored_vwap_of_the_last_possible_ns_is_exact() -> None:
    anchor = 2**62 + 2**33 + 3
    times = np.array([anchor - 1, anchor, anchor + 1])
    got = AnchoredVWAP(anchor).compute(bars_of([1, 2, 2], [1, 1, 1], open_time=times))["value"]
    np.testing.assert_array_equal(got, [np.nan, 2, 2])


@pytest.mark.parametrize("anchor", [-1, 2**63, 1.5, True, "2024-01-01", None])
def test_anchored_vwap_anchor_that_is_no_time_is_refused(anchor: Any) -> None:
    with pytest.raises(ValueError, match="anchor_ns is a time in whole ns since 1970 UTC"):
        AnchoredVWAP(anchor)


@pytest.mark.parametrize("spec", [VWAP(), VWAP(13), AnchoredVWAP(MONDAY)], ids=str)
def test_vwap_restored_in_the_middle_of_a_session_gives_the_same_bits(spec: Any) -> None:
    bars = made_up_days(2_500)
    one, two = Computation(spec, bars, interval="5m"), Computation(spec, bars, interval="5m")
    one.advance(1_777)
    two.restore(one.save())
    one.advance(2_500)
    two.advance(2_500)
    np.testing.assert_array_equal(one.values["value"].view(np.int64), two.values["value"].view(np.int64))
