from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from stratd.model import MINUTE_NS
from stratd.portfolio.aggregator import PositionAggregator
from stratd.portfolio.cells import P_COLUMNS, P_FLOATS, P_LOTS, P_MARK, P_SYMBOL

from ...support.raw_log import RawLog, Step

SYMBOLS, MEMBERS = 3, 4


def tables(held: dict[int, int], mark: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """An account's positions, with rows that do not count behind those that do."""
    positions = np.full((2 * len(held) + 2, P_COLUMNS), 10**6, np.int64)
    floats = np.full((2 * len(held) + 2, P_FLOATS), math.nan)
    for row, (symbol, lots) in enumerate(held.items()):
        positions[row, P_SYMBOL], positions[row, P_LOTS] = symbol, lots
        floats[row, P_MARK] = mark
    return positions, floats


@given(
    steps=st.lists(
        st.tuples(st.integers(0, MEMBERS - 1), st.dictionaries(st.integers(0, SYMBOLS - 1), st.integers(-50, 50))), max_size=30
    )
)
def test_take_in_any_order_the_sums_are_those_of_what_each_holds(steps: list[tuple[int, dict[int, int]]]) -> None:
    made = PositionAggregator([1.0] * SYMBOLS, MEMBERS)
    accounts: list[dict[int, int]] = [{} for _ in range(MEMBERS)]
    for member, changed in steps:
        accounts[member] |= changed  # a symbol never leaves an account's tables
        made.take(member, *tables(accounts[member]), 0, len(accounts[member]))
        for symbol in range(SYMBOLS):
            lots = [account.get(symbol, 0) for account in accounts]
            assert made.net[symbol] == sum(lots)
            assert made.gross[symbol] == sum(map(abs, lots))
            assert made.held[:, symbol].tolist() == lots


def test_exposure_is_at_last_closes_net_and_gross() -> None:
    made = PositionAggregator([1.0, 0.1, 1.0], 2)
    made.take(0, *tables({0: 10, 1: 30}), 0, 2)
    made.take(1, *tables({0: -4, 1: 5}), 0, 2)
    made.closes[:] = [100.0, 50.0, math.nan]  # of the last nobody holds anything
    assert made.net_exposure == (6 * 100 + 35 * 5) * 10**8
    assert made.gross_exposure == (14 * 100 + 35 * 5) * 10**8


def test_take_reads_only_the_rows_that_it_is_told() -> None:
    made = PositionAggregator([1.0] * SYMBOLS, 1)
    positions, floats = tables({0: 5, 1: 6})
    positions[3], positions[4] = positions[0], positions[1]
    positions[3, P_LOTS] = 1
    made.take(0, positions, floats, 3, 1)
    assert made.net.tolist() == [1, 0, 0]


def test_take_before_the_first_close_the_accounts_own_price_stands_in() -> None:
    made = PositionAggregator([1.0] * SYMBOLS, 1)
    made.take(0, *tables({1: 2}, mark=7.0), 0, 1)
    assert made.net_exposure == 14 * 10**8
    made.closes[1] = 8.0
    made.take(0, *tables({1: 2}, mark=7.0), 0, 1)
    assert made.net_exposure == 16 * 10**8


def test_mark_takes_the_closes_of_1m_bars_and_leaves_the_rest() -> None:
    raw = RawLog(symbols=2, intervals=("1m", "5m"))
    segment = raw.append([Step(MINUTE_NS, ((0, 0), (0, 1))), Step(2 * MINUTE_NS, ((0, 1), (1, 0), 0))])
    made = PositionAggregator([1.0, 1.0], 1)
    first = int(segment.step_end[0])
    made.mark(segment, 0, first, raw.data.frame)
    before = made.closes.tolist()
    assert before == [raw.data.frame.floats[0, 3, s, 0] for s in range(2)]
    made.mark(segment, first, len(segment), raw.data.frame)
    assert made.closes.tolist() == [before[0], raw.data.frame.floats[0, 3, 1, 1]]
