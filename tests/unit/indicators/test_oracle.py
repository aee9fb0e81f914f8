"""Every indicator against TA-Lib, on real bars."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stratd.indicators import ATR, EMA, ROC, RSI, SMA, Highest, Indicator, Lowest, Momentum, StdDev

talib = pytest.importorskip("talib")
Bars = dict[str, NDArray[np.float64]]

CASES: list[tuple[Indicator, Callable[[Bars], Any]]] = [
    (SMA(10), lambda b: talib.SMA(b["close"], 10)),
    (SMA(200), lambda b: talib.SMA(b["close"], 200)),
    (SMA(20, "volume"), lambda b: talib.SMA(b["volume"], 20)),
    (EMA(12), lambda b: talib.EMA(b["close"], 12)),
    (EMA(26, "open"), lambda b: talib.EMA(b["open"], 26)),
    (RSI(14), lambda b: talib.RSI(b["close"], 14)),
    (RSI(2), lambda b: talib.RSI(b["close"], 2)),
    (ATR(14), lambda b: talib.ATR(b["high"], b["low"], b["close"], 14)),
    (ATR(1), lambda b: talib.ATR(b["high"], b["low"], b["close"], 1)),
    (Highest(20), lambda b: talib.MAX(b["high"], 20)),
    (Highest(55, "close"), lambda b: talib.MAX(b["close"], 55)),
    (Lowest(20), lambda b: talib.MIN(b["low"], 20)),
    (ROC(10), lambda b: talib.ROC(b["close"], 10)),
    (Momentum(10), lambda b: talib.MOM(b["close"], 10)),
]


def values(spec: Indicator, bars: Bars, tick: float | None = 0.01) -> NDArray[np.float64]:
    columns = tuple(bars[name] for name in spec.fields)
    out = np.empty(len(columns[0]))
    spec.advance(columns, 0, len(out), spec.new_state(tick), out)
    return out


@pytest.mark.shared_data
@pytest.mark.parametrize(("spec", "oracle"), CASES, ids=lambda case: str(case) if isinstance(case, Indicator) else "")
@pytest.mark.parametrize("tick", [0.01, None])
def test_indicator_on_real_bars_equals_talib(
    spec: Indicator, oracle: Callable[[Bars], Any], tick: float | None, spy: Bars
) -> None:
    got, expected = values(spec, spy, tick), oracle(spy)
    assert np.array_equal(np.isnan(got), np.isnan(expected))
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.shared_data
def test_stddev_on_real_bars_equals_numpy(spy: Bars) -> None:
    expected = np.lib.stride_tricks.sliding_window_view(spy["close"], 20).std(axis=1)
    np.testing.assert_allclose(values(StdDev(20), spy)[19:], expected, rtol=1e-9, atol=1e-12)
    # TA-Lib subtracts two large sums, so it is the coarser of the two.
    np.testing.assert_allclose(values(StdDev(20), spy), talib.STDDEV(spy["close"], 20), atol=1e-5)


def test_stddev_of_equal_prices_is_exactly_zero() -> None:
    bars = {"close": np.full(30, 0.1)}
    assert (values(StdDev(20), bars)[19:] == 0.0).all()


@pytest.mark.parametrize(("spec", "oracle"), CASES, ids=lambda case: str(case) if isinstance(case, Indicator) else "")
def test_indicator_warmup_names_the_first_valid_row(spec: Indicator, oracle: Callable[[Bars], Any], walk: Bars) -> None:
    got = values(spec, walk)
    assert np.isnan(got[: spec.warmup - 1]).all()
    assert not np.isnan(got[spec.warmup - 1 :]).any()
