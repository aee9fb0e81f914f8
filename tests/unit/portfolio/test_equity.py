from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stratd.portfolio.equity import Drawdown, EquityFold

DAY = 86_400_000_000_000
HOUR = DAY // 24
DAYS = np.arange(10, dtype=np.int64) * DAY


def ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def folded(points: Sequence[tuple[int, int]], cuts: Sequence[int] = (), capital: int = 100) -> EquityFold:
    fold = EquityFold(capital, DAYS)
    bounds = [0, *sorted(cuts), len(points)]
    for start, stop in pairwise(bounds):
        part = points[start:stop]
        fold.add(ints(*(time for time, _ in part)), ints(*(equity for _, equity in part)))
    return fold


def plain(points: Sequence[tuple[int, int]], capital: int = 100) -> tuple[list[int], Drawdown | None]:
    """The same, one point after the other."""
    last_day = max(((time - 1) // DAY for time, _ in points), default=-1)
    daily = [capital]
    for day in range(last_day + 1):
        daily.append(next((equity for time, equity in reversed(points) if (time - 1) // DAY == day), daily[-1]))
    peak, peak_time = capital, 0
    worst: list[int] = []  # peak, trough, their times
    recovery: int | None = None
    for time, equity in points:
        if equity >= peak:
            peak, peak_time = equity, time
        if equity < peak and (not worst or (peak - equity) / peak > (worst[0] - worst[1]) / worst[0]):
            worst, recovery = [peak, equity, peak_time, time], None
        elif worst and recovery is None and equity >= worst[0]:
            recovery = time
    if not worst:
        return daily, None
    end = points[-1][0] if recovery is None else recovery
    return daily, Drawdown((worst[0] - worst[1]) / worst[0], worst[2], worst[3], recovery, end - worst[2])


@st.composite
def curves(draw: st.DrawFn) -> tuple[list[tuple[int, int]], list[int]]:
    hours = sorted(draw(st.lists(st.integers(1, 9 * 24), max_size=30)))
    # Few values, so that peaks are met again and drawdowns are equally deep.
    equity = draw(st.lists(st.integers(-20, 30).map(lambda step: 100 + 5 * step), min_size=len(hours), max_size=len(hours)))
    cuts = draw(st.lists(st.integers(0, len(hours)), max_size=5))
    return [(hour * HOUR, value) for hour, value in zip(hours, equity, strict=True)], cuts


@given(curves())
def test_fold_any_division_into_blocks_equals_one_point_after_the_other(curve: tuple[list[tuple[int, int]], list[int]]) -> None:
    points, cuts = curve
    fold = folded(points, cuts)
    assert (fold.daily().tolist(), fold.max_drawdown()) == plain(points)
    assert fold.points == len(points)


def test_daily_point_at_midnight_is_the_last_of_the_day_before() -> None:
    fold = folded([(23 * HOUR, 101), (DAY, 102), (DAY + 1, 103)])
    assert fold.daily().tolist() == [100, 102, 103]


def test_daily_days_without_points_end_as_the_day_before() -> None:
    fold = folded([(2 * DAY + HOUR, 105), (5 * DAY + HOUR, 95)])
    assert fold.daily().tolist() == [100, 100, 100, 105, 105, 105, 95]


def test_daily_without_points_is_the_capital() -> None:
    assert folded([]).daily().tolist() == [100]
    assert folded([]).max_drawdown() is None


def test_daily_last_day_has_no_end() -> None:
    fold = folded([(9 * DAY + HOUR, 101), (40 * DAY, 103)])
    assert fold.daily().tolist() == [100] * 10 + [103]


def test_daily_of_two_points_at_one_time_the_later_counts() -> None:
    assert folded([(HOUR, 101), (HOUR, 99)], cuts=[1]).daily().tolist() == [100, 99]


def test_drawdown_from_the_capital_begins_with_the_first_day() -> None:
    assert folded([(HOUR, 90), (2 * HOUR, 95)]).max_drawdown() == Drawdown(0.1, 0, HOUR, None, 2 * HOUR)


def test_drawdown_recovered_has_its_dates() -> None:
    points = [(1, 120), (2, 120), (3, 90), (4, 60), (5, 60), (6, 119), (7, 120), (8, 130), (9, 120)]
    assert folded(points).max_drawdown() == Drawdown(0.5, 2, 4, 7, 5)


@pytest.mark.parametrize("cuts", [[], [1], [2], [3]])
def test_drawdown_of_two_equally_deep_ones_is_the_first(cuts: list[int]) -> None:
    points = [(1, 50), (2, 200), (3, 100), (4, 150)]
    assert folded(points, cuts).max_drawdown() == Drawdown(0.5, 0, 1, 2, 2)


def test_drawdown_of_money_at_the_edge_of_int64_is_right() -> None:
    top = 2**63 - 1
    fold = folded([(1, top), (2, -top)], capital=top)
    drawdown = fold.max_drawdown()
    assert drawdown is not None
    assert drawdown.fraction == 2.0
    assert folded([(1, top - 1)], capital=top).max_drawdown() == Drawdown(1 / top, 0, 1, None, 1)


def test_add_keeps_nothing_of_the_arrays() -> None:
    block = np.array([[HOUR, 101], [2 * HOUR, 90]], np.int64)
    fold = EquityFold(100, DAYS)
    fold.add(block[:, 0], block[:, 1])
    before = (fold.daily().tolist(), fold.max_drawdown())
    block.fill(-1)
    assert (fold.daily().tolist(), fold.max_drawdown()) == before


def test_add_many_points_keeps_one_number_a_day() -> None:
    fold = EquityFold(100, DAYS)
    for first in range(1, 5 * 24 * 60, 1000):
        minutes = np.arange(first, min(first + 1000, 5 * 24 * 60 + 1), dtype=np.int64)
        fold.add(minutes * 60_000_000_000, 100 + minutes)
    assert fold.points == 5 * 24 * 60
    assert len(fold._day) == len(fold._equity) == 5
    assert fold.daily().tolist() == [100, 1540, 2980, 4420, 5860, 7300]


@pytest.mark.parametrize(
    ("times", "equity", "what"),
    [
        ([0], [1], "before the first day"),
        ([2 * HOUR, HOUR], [1, 1], "go back"),
        ([HOUR // 2], [1], "go back"),
        ([2 * HOUR], [1, 1], "one length"),
    ],
)
def test_add_points_that_cannot_be_are_refused_and_change_nothing(times: list[int], equity: list[int], what: str) -> None:
    fold = folded([(HOUR, 90)])
    with pytest.raises(ValueError, match=what):
        fold.add(ints(*times), ints(*equity))
    assert (fold.daily().tolist(), fold.max_drawdown(), fold.points) == ([100, 90], Drawdown(0.1, 0, HOUR, None, HOUR), 1)


@pytest.mark.parametrize(("capital", "days"), [(0, [0]), (-1, [0]), (1, []), (1, [0, 0]), (1, [5, 3])])
def test_fold_of_no_capital_or_days_out_of_order_is_refused(capital: int, days: list[int]) -> None:
    with pytest.raises(ValueError, match="capital is above|days are at least one"):
        EquityFold(capital, ints(*days))
