"""Every case of the catalogue: against its oracle on made-up and real bars, for any blocks, with NaN, and without look-ahead."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ...support.indicator_cases import BarArrays, Case
from . import cases as package

pytest.importorskip("talib")

ALL = [
    pytest.param(case, id=f"{module.name}-{number}-{case.spec}")
    for module in iter_modules(package.__path__)
    for number, case in enumerate(import_module(f"{package.__name__}.{module.name}").CASES)
]
TICK = 0.01


def made_up(rows: int, seed: int = 11) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    close = np.round(30 * np.exp(np.cumsum(random.normal(0, 2e-3, rows))), 2)
    open_ = np.concatenate([[30.0], close[:-1]])
    high = np.round(np.maximum(open_, close) + 0.01 * random.integers(0, 4, rows), 2)
    low = np.round(np.minimum(open_, close) - 0.01 * random.integers(0, 4, rows), 2)
    flat = random.random(rows) < 0.05  # bars without a range, and without volume
    for column in (open_, high, low):
        column[flat] = close[flat]
    volume = random.integers(1, 900, rows).astype(float)
    volume[random.random(rows) < 0.03] = 0.0
    open_time = 1_704_067_200_000_000_000 + 60_000_000_000 * np.arange(rows, dtype=np.int64)
    return {
        "open": open_, "high": high, "low": low, "close": close, "volume": volume,
        "open_time": open_time, "close_time": open_time + 60_000_000_000,
    }  # fmt: skip


WALK = made_up(6_000)


def check(case: Case, bars: BarArrays, tick: float | None) -> float:
    """Compare with the oracle. Returns the largest relative difference."""
    got, expected = case.spec.compute(bars, tick=tick), case.oracle(bars)
    assert set(expected) == set(got) == set(case.spec.outputs)
    scale = float(np.abs(bars["close"]).max()) if case.scale == "price" else 1.0
    worst = 0.0
    for name in got:
        mine, theirs = got[name][case.skip_rows :], np.asarray(expected[name], float)[case.skip_rows :]
        has = ~np.isnan(theirs)
        if case.same_nan:
            np.testing.assert_array_equal(np.isnan(mine), ~has, err_msg=f"{name}: rows with a value")
        else:
            assert not np.isnan(mine[has]).any(), name
        np.testing.assert_allclose(mine[has], theirs[has], rtol=case.rtol, atol=case.atol * scale, err_msg=name)
        size = np.maximum(np.abs(theirs[has]), 1e-300)
        if has.any():
            worst = max(worst, float((np.abs(mine[has] - theirs[has]) / size).max()))
    return worst


@pytest.mark.parametrize("case", ALL)
@pytest.mark.parametrize("tick", [TICK, None], ids=["tick", "floats"])
def test_indicator_on_made_up_bars_equals_its_oracle(case: Case, tick: float | None) -> None:
    check(case, WALK, tick)


@pytest.mark.parametrize("case", ALL)
def test_indicator_warmup_names_the_first_row_with_a_value(case: Case) -> None:
    got = case.spec.compute(made_up(1_500, 4), tick=TICK)
    assert min(int(np.argmax(~np.isnan(values))) for values in got.values()) + 1 <= case.spec.warmup
    # Volumes and ranges of zero leave some indicators without a value here and there, but not for long.
    first = max(int(np.argmax(~np.isnan(values))) for values in got.values())
    assert case.spec.warmup - 1 <= first <= case.spec.warmup + 5 or case.spec.warmup == 1


@pytest.mark.parametrize("case", ALL)
@settings(max_examples=8, deadline=None)
@given(stops=st.lists(st.integers(0, 400), max_size=40).map(sorted), tick=st.sampled_from([TICK, None]), bad=st.booleans())
def test_indicator_in_any_blocks_gives_the_same_bits(case: Case, stops: list[int], tick: float | None, bad: bool) -> None:
    bars = with_bad_rows(made_up(400, 5)) if bad else made_up(400, 5)
    whole = case.spec.compute(bars, tick=tick)
    for parts in (case.spec.compute(bars, tick=tick, blocks=stops), case.spec.compute(bars, tick=tick, blocks=range(400))):
        for name in whole:
            np.testing.assert_array_equal(whole[name].view(np.int64), parts[name].view(np.int64))


@pytest.mark.parametrize("case", ALL)
def test_indicator_restored_from_its_state_gives_the_same_bits(case: Case) -> None:
    from stratd.indicators.computation import Computation

    bars = with_bad_rows(made_up(500, 6))
    whole = case.spec.compute(bars, tick=TICK)
    for stop in (0, 1, 57, 300):
        one, two = Computation(case.spec, bars, tick=TICK), Computation(case.spec, bars, tick=TICK)
        one.advance(stop)
        two.restore(one.save())
        two.advance(500)
        for name in whole:
            np.testing.assert_array_equal(whole[name].view(np.int64), two.values[name].view(np.int64))


@pytest.mark.parametrize("case", ALL)
def test_indicator_does_not_look_ahead(case: Case) -> None:
    bars = made_up(420, 7)
    other = {name: values.copy() for name, values in bars.items()}
    for name in ("open", "high", "low", "close", "volume"):
        other[name][250:] = other[name][250:][::-1] * 3.0 + 1.0
    one, two = case.spec.compute(bars, tick=TICK), case.spec.compute(other, tick=TICK)
    for name in one:
        np.testing.assert_array_equal(one[name][:250].view(np.int64), two[name][:250].view(np.int64))


@pytest.mark.parametrize("case", ALL)
def test_indicator_with_bad_rows_is_never_infinite_and_recovers(case: Case) -> None:
    bars = with_bad_rows(made_up(2_000, 8))
    for name, values in case.spec.compute(bars, tick=TICK).items():
        assert not np.isinf(values).any(), name
        assert np.isfinite(values[1_200:]).mean() > 0.8, name


def with_bad_rows(bars: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """NaN and infinity in the first fifth."""
    made = {name: values.copy() for name, values in bars.items()}
    rows = len(made["close"])
    random = np.random.default_rng(3)
    for value in (np.nan, np.inf):
        for row in random.integers(0, rows // 5, 4):
            for name in ("open", "high", "low", "close", "volume"):
                made[name][row] = value
    return made
