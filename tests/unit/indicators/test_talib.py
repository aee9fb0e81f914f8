from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.errors import IndicatorError, MissingExtra
from stratd.indicators import talib as module
from stratd.indicators.base import FIELDS
from stratd.indicators.catalogue.sma import SMA
from stratd.indicators.computation import Computation, compute
from stratd.indicators.talib import ROWS, TA, functions
from stratd.testing.indicators import made_up_bars

talib = pytest.importorskip("talib")

BARS = made_up_bars(2_600, 5)
SOME = ("RSI", "MACD", "SAR", "BBANDS", "CDLDOJI", "MAXINDEX", "VWAP", "OBV", "AD", "WAD", "NVI", "HT_TRENDMODE", "HA", "SIN")


def spec_of(name: str) -> TA:
    """With TA-Lib's parameters; prices that the function can take."""
    if name == "MAVP":
        return TA(name).of("close", SMA(3, "low"))
    if name in ("ACOS", "ASIN"):
        return TA(name).of(TA("DIV").of("low", "volume"))
    return TA(name)


ALL = [spec_of(name) for name in functions()]


def oracle(spec: TA, bars: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """TA-Lib's own call on the whole arrays. NaN where it has no value: it writes 0 for integers, and has infinities."""
    inputs = [bars[one] if isinstance(one, str) else one.compute(bars)[one.outputs[0]] for one in spec.sources]
    found = getattr(talib, spec.function)(*inputs, **dict(spec.arguments))
    made = {}
    for name, values in zip(spec.outputs, found if isinstance(found, list | tuple) else [found], strict=True):
        column = np.where(np.isfinite(values), values, np.nan).astype(float)
        column[: spec.warmup - 1] = np.nan
        made[name] = column
    return made


def same_bits(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> bool:
    return all(
        ((one[name].view(np.int64) == other[name].view(np.int64)) | (np.isnan(one[name]) & np.isnan(other[name]))).all()
        for name in one
    )


def part(bars: Mapping[str, Any], stop: int) -> dict[str, Any]:
    return {name: column[:stop] for name, column in bars.items()}


# Every function.


def test_functions_are_all_of_talib() -> None:
    assert set(functions()) == set(talib.get_functions())
    assert len(ALL) > 150


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_ta_equals_the_function_called_on_all_bars(spec: TA) -> None:
    found, expected = spec.compute(BARS), oracle(spec, BARS)
    assert found.keys() == expected.keys()
    for name, theirs in expected.items():
        ours, size = found[name], np.nanmax(np.abs(theirs), initial=0.0)
        np.testing.assert_array_equal(np.isnan(ours), np.isnan(theirs))
        # TA-Lib's own running sums round by up to 1e-11 of the prices: their differences do.
        prices = 30.0 if spec.function not in ("ADOSC", "EFI") else size
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=max(1e-10 * size, 1e-11 * prices))


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_ta_first_value_comes_at_its_warmup(spec: TA) -> None:
    firsts = [np.argmax(~np.isnan(values)) + 1 for values in spec.compute(BARS).values() if not np.isnan(values).all()]
    rare = {"FRACTAL"}  # no value where there is no swing
    assert firsts
    assert set(firsts) == {spec.warmup} or spec.function in rare


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_ta_early_on_has_the_bits_of_the_function(spec: TA) -> None:
    bars = part(BARS, ROWS)
    assert same_bits(spec.compute(bars), oracle(spec, bars))


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_ta_in_blocks_has_the_same_bits(spec: TA) -> None:
    bars = part(BARS, 1_100)
    random = np.random.default_rng(2)
    whole = spec.compute(bars)
    for stops in (sorted(random.integers(0, 1_100, 25).tolist()), [*range(120, 135), 255, 256, 257, 1_023, 1_025]):
        assert same_bits(whole, spec.compute(bars, blocks=stops))


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_ta_with_another_future_has_the_same_bits(spec: TA) -> None:
    rows = 700
    known = part(spec.compute(part(BARS, 900)), rows)
    other = {name: column[:900].copy() for name, column in BARS.items()}
    for name in FIELDS:
        other[name][rows:] = 2 * other[name][rows:][::-1] + 1
    assert same_bits(known, part(spec.compute(other), rows))
    assert same_bits(known, spec.compute(part(BARS, rows)))


@pytest.mark.parametrize("name", SOME)
@settings(max_examples=10, deadline=None, database=None)
@given(st.lists(st.integers(0, 900), max_size=40).map(sorted), st.lists(st.integers(0, 899), max_size=6))
def test_ta_in_any_blocks_with_bad_rows_has_the_same_bits(name: str, stops: list[int], bad: list[int]) -> None:
    bars = {field: column[:900].copy() for field, column in BARS.items()}
    for row in bad:
        bars["close"][row] = np.nan
        bars["high"][row] = np.inf
    assert same_bits(TA(name).compute(bars), TA(name).compute(bars, blocks=stops))


@pytest.mark.parametrize("spec", ALL, ids=str)
def test_ta_resumed_with_only_the_rows_of_its_reach_has_the_same_bits(spec: TA) -> None:
    whole, stop = spec.compute(BARS), 2_430
    one = Computation(spec, BARS)
    one.advance(stop)
    saved = one.save()
    left = {name: column.copy() for name, column in BARS.items()}
    for column in (*(left[name] for name in FIELDS), *saved.columns):
        column[: max(0, stop - spec.reach)] = np.nan
    two = Computation(spec, left)
    two.restore(saved)
    two.advance(len(BARS["close"]))
    assert same_bits({name: column[stop:] for name, column in whole.items()}, {n: c[stop:] for n, c in two.values.items()})


# NaN.


def test_ta_bad_row_of_a_windowed_function_is_in_its_window_and_then_gone() -> None:
    bars = {name: column.copy() for name, column in BARS.items()}
    clean = TA("SMA", timeperiod=5).compute(bars)["value"]
    bars["close"][300] = np.nan
    found = TA("SMA", timeperiod=5).compute(bars)["value"]
    assert np.flatnonzero(np.isnan(found)[4:]).tolist() == [296, 297, 298, 299, 300]
    np.testing.assert_allclose(found[305:], clean[305:], rtol=1e-12)


def test_ta_bad_row_of_a_recursive_function_is_left_out() -> None:
    bars = {name: column.copy() for name, column in BARS.items()}
    bars["close"][300] = np.inf
    found = TA("EMA", timeperiod=5).compute(bars)["value"]
    expected = talib.EMA(np.delete(bars["close"], 300), 5)
    assert np.isnan(found[300])
    np.testing.assert_allclose(np.delete(found, 300), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["OBV", "AD", "VWAP", "NVI", "PVI", "PVT", "WAD", "CUMSUM"])
def test_ta_bad_rows_of_a_function_that_adds_up_are_left_out(name: str) -> None:
    bars = {field: column.copy() for field, column in BARS.items()}
    bad = [0, 127, 128, 300, *range(500, 700)]
    for field in FIELDS:
        bars[field][bad] = np.nan
    found = TA(name).compute(bars)["value"]
    expected = oracle(TA(name), {field: np.delete(column, bad) for field, column in bars.items()})["value"]
    assert np.isnan(found[bad]).all()
    np.testing.assert_allclose(np.delete(found, bad), expected, rtol=1e-9, atol=1e-9)


def test_ta_of_another_indicator_waits_for_its_warmup() -> None:
    spec = TA("RSI", timeperiod=5).of(SMA(20))
    found = compute(spec, BARS)["value"]
    assert spec.warmup == 20 + 5
    assert np.argmax(~np.isnan(found)) == 24
    np.testing.assert_allclose(found, talib.RSI(SMA(20).compute(BARS)["value"], 5), rtol=1e-9)


def test_ta_infinity_of_the_function_is_nan() -> None:
    bars = {"close": np.array([1.0, 0.0, 2.0]), "high": np.array([1.0, 1.0, 1.0])}
    np.testing.assert_array_equal(TA("DIV").of("high", "close").compute(bars)["value"], [1.0, np.nan, 0.5])


def test_ta_positions_count_from_the_first_row() -> None:
    found = TA("MAXINDEX", timeperiod=10).compute(BARS)["value"]
    assert all(BARS["close"][int(at)] == BARS["close"][row - 9 : row + 1].max() for row, at in enumerate(found) if row >= 9)


# What it is.


def test_ta_equal_parameters_are_equal_and_hash_alike() -> None:
    assert TA("RSI") == TA("RSI", timeperiod=14) == copy.deepcopy(TA("RSI")) == pickle.loads(pickle.dumps(TA("RSI")))  # noqa: S301
    assert hash(TA("RSI")) == hash(TA("RSI", timeperiod=np.int64(14)))
    assert TA("BBANDS", nbdevup=1, timeperiod=5) == TA("BBANDS", timeperiod=5, nbdevup=1.0)
    assert len({TA("RSI"), TA("RSI", timeperiod=15), TA("CMO"), TA("RSI").of("high")}) == 4


def test_ta_equal_ones_are_one_column() -> None:
    spec = TA("SUB").of(TA("SMA", timeperiod=5), TA("SMA", timeperiod=5))
    found = Computation(spec, BARS)
    assert len(found._nodes()) == 2


def test_ta_outputs_have_the_names_of_talib() -> None:
    assert TA("RSI").outputs == TA("CDLDOJI").outputs == ("value",)
    assert TA("MACD").outputs == ("macd", "macdsignal", "macdhist")
    histogram = TA("MACD").output("macdhist")
    np.testing.assert_allclose(histogram.compute(BARS)["value"], talib.MACD(BARS["close"])[2], atol=1e-9)


def test_ta_label_says_function_parameters_and_sources() -> None:
    assert TA("RSI", timeperiod=5).label == "TA(RSI, timeperiod=5)"
    assert TA("RSI", timeperiod=5).of(SMA(3)).label == "TA(RSI, timeperiod=5, SMA(3))"
    assert str(TA("AVGPRICE")) == repr(TA("AVGPRICE")) == "TA(AVGPRICE)"


def test_ta_of_replaces_single_prices_only() -> None:
    assert TA("OBV").of("high").sources == ("high", "volume")
    assert TA("CORREL").of("open", "close").sources == ("open", "close")
    with pytest.raises(IndicatorError, match="ADX is computed from whole bars"):
        TA("ADX").of("close")
    with pytest.raises(IndicatorError, match="CORREL has 2 sources, 1 were given"):
        TA("CORREL").of("close")
    with pytest.raises(ValueError, match="did you mean 'close'"):
        TA("RSI").of("closed")


def test_ta_reach_is_its_window_and_the_rows_taken_together() -> None:
    assert TA("SMA", timeperiod=30).reach == 29 + ROWS
    assert TA("OBV").reach == ROWS
    assert TA("RSI").reach == 14 + 400 + ROWS
    assert TA("RSI", timeperiod=100).reach == 100 + 2_800 + ROWS
    assert TA("MA", timeperiod=30, matype=1).reach > TA("MA", timeperiod=30).reach


def test_ta_usual_parameters_fit_into_the_usual_history() -> None:
    assert [spec.function for spec in ALL if spec.reach >= 1_000] == ["KAMA"]


# Errors.


def test_ta_unknown_function_names_the_nearest() -> None:
    with pytest.raises(IndicatorError, match="no function 'STOCHRS'; did you mean 'STOCHRSI'"):
        TA("STOCHRS")
    with pytest.raises(IndicatorError, match="did you mean 'RSI'"):
        TA("rsi")


def test_ta_unknown_parameter_names_the_nearest() -> None:
    with pytest.raises(IndicatorError, match="RSI has timeperiod, not 'time_period'; did you mean 'timeperiod'"):
        TA("RSI", time_period=5)
    with pytest.raises(IndicatorError, match="OBV has no parameters, not 'timeperiod'"):
        TA("OBV", timeperiod=5)


@pytest.mark.parametrize(
    ("value", "message"), [(1, "refuses RSI with timeperiod=1"), (2.5, "whole"), ("a", "whole"), (True, "whole")]
)
def test_ta_wrong_parameter_is_refused(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TA("RSI", timeperiod=value)


def test_ta_number_parameter_must_be_finite() -> None:
    with pytest.raises(ValueError, match="nbdevup is a number, not nan"):
        TA("BBANDS", nbdevup=float("nan"))


def test_ta_mavp_without_periods_says_what_it_needs() -> None:
    with pytest.raises(IndicatorError, match=r"TA\('MAVP'\)\.of\('close', periods\)"):
        TA("MAVP").compute(BARS)


def test_ta_without_talib_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        if name.startswith("talib"):
            raise ModuleNotFoundError(name)
        return importlib.import_module(name)

    monkeypatch.setattr(module.importlib, "import_module", absent)
    module._function.cache_clear()
    with pytest.raises(MissingExtra, match=r"pip install 'stratd\[talib\]'"):
        TA("RSI")
    with pytest.raises(MissingExtra):
        functions()
