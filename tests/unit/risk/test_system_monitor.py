from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.model import MINUTE_NS, MONEY
from stratd.portfolio.aggregator import PositionAggregator
from stratd.portfolio.cells import (
    ACTIVE,
    BY_CONSECUTIVE_LOSSES,
    BY_DAILY_LOSS,
    BY_DRAWDOWN,
    BY_EXPOSURE,
    C_CASH,
    C_CELLS,
    C_LOSSES,
    C_TRADE_COUNT,
    CELLS,
    REDUCING,
    STATE_HALTED,
    X_AHEAD,
)
from stratd.risk.limits import Policy, RiskLimits
from stratd.risk.system_monitor import SystemRiskMonitor

DAY_NS = 1_440 * MINUTE_NS
DAYS = np.arange(5, dtype=np.int64) * DAY_NS
CAPITAL = 1_000


class Accounts:
    """Two accounts' cells, and what they hold of two symbols at closes of 10 and 20."""

    def __init__(self, limits: RiskLimits, capital: int = 2 * CAPITAL) -> None:
        self.table = np.zeros((2, CELLS), np.int64)
        self.table[:, C_CASH] = CAPITAL * MONEY
        self.positions = PositionAggregator([1.0, 1.0], 2)
        self.positions.closes[:] = 10.0, 20.0
        self.monitor = SystemRiskMonitor(limits, self.table, self.positions, capital * MONEY, 2 * CAPITAL * MONEY, DAYS)

    def lose(self, account: int, amount: float) -> None:
        self.table[account, C_CASH] -= round(amount * MONEY)


def test_watch_nothing_happens_no_state_is_passed_and_equity_is_the_capital() -> None:
    made = Accounts(RiskLimits(drawdown_fraction=0.1, daily_loss_fraction=0.1, exposure_fraction=1, consecutive_losses=1))
    assert [made.monitor.watch(minute * MINUTE_NS) for minute in (1, 2, 3)] == [None] * 3
    assert (made.monitor.equity, made.monitor.state) == (2 * CAPITAL * MONEY, ACTIVE)


def test_watch_drawdown_is_from_the_highest_equity_of_all_together() -> None:
    made = Accounts(RiskLimits(drawdown_fraction=0.1))
    made.lose(0, -500)
    assert made.monitor.watch(MINUTE_NS) is None  # 2,500
    made.lose(1, 249.99)
    assert made.monitor.watch(2 * MINUTE_NS) is None
    made.lose(0, 0.01)
    assert made.monitor.watch(3 * MINUTE_NS) == (STATE_HALTED, BY_DRAWDOWN)
    assert made.monitor.watch(4 * MINUTE_NS) is None  # it is there already
    assert made.monitor.state == STATE_HALTED


def test_watch_daily_loss_is_from_what_the_day_before_ended_with() -> None:
    made = Accounts(RiskLimits(daily_loss_fraction=0.1, daily_loss_policy=Policy.REDUCE))
    made.lose(0, 150)
    assert made.monitor.watch(DAY_NS) is None  # 1,850, and the day ends here
    made.lose(0, 184)
    assert made.monitor.watch(DAY_NS + MINUTE_NS) is None  # less than a tenth of 1,850
    made.lose(0, 1)
    assert made.monitor.watch(DAY_NS + 2 * MINUTE_NS) == (REDUCING, BY_DAILY_LOSS)


def test_watch_exposure_is_of_net_positions() -> None:
    made = Accounts(RiskLimits(exposure_fraction=0.5))
    made.positions.gross[:] = 1_000
    made.positions.net[:] = 20, -40
    for cell in (0, 1):
        made.table[cell, C_CASH] += 300 * MONEY  # the short's proceeds, less what the long cost
    assert made.monitor.watch(MINUTE_NS) is None  # 200 + 800 of 2,000
    made.positions.net[0] = 21
    made.table[0, C_CASH] -= 10 * MONEY
    assert made.monitor.watch(2 * MINUTE_NS) == (REDUCING, BY_EXPOSURE)
    assert made.monitor.exposure == 1_010 * MONEY


def test_watch_money_that_nobody_was_given_counts() -> None:
    made = Accounts(RiskLimits(drawdown_fraction=0.1), capital=5_000)
    made.lose(0, 499)
    assert made.monitor.watch(MINUTE_NS) is None
    made.lose(0, 1)
    assert made.monitor.watch(2 * MINUTE_NS) == (STATE_HALTED, BY_DRAWDOWN)


def test_watch_states_only_get_stricter() -> None:
    limits = RiskLimits(exposure_fraction=0.1, drawdown_fraction=0.5)
    made = Accounts(limits)
    made.lose(0, 1_500)
    assert made.monitor.watch(MINUTE_NS) == (STATE_HALTED, BY_DRAWDOWN)
    made.positions.net[0] = 500
    assert made.monitor.watch(2 * MINUTE_NS) is None
    assert made.monitor.state == STATE_HALTED


def test_watch_account_that_has_run_ahead_counts_as_of_its_strategy() -> None:
    made = Accounts(RiskLimits(drawdown_fraction=0.1))
    made.table[0, C_CELLS : 2 * C_CELLS] = made.table[0, :C_CELLS]
    made.table[0, X_AHEAD] = 1
    made.lose(0, 900)
    assert made.monitor.watch(MINUTE_NS) is None


@given(steps=st.lists(st.tuples(st.lists(st.booleans(), max_size=4), st.lists(st.booleans(), max_size=4)), max_size=12))
def test_watch_losses_in_a_row_are_counted_over_all_trades_in_order(steps: Sequence[tuple[list[bool], list[bool]]]) -> None:
    made = Accounts(RiskLimits(consecutive_losses=3))
    run = 0
    state = ACTIVE
    for minute, trades in enumerate(steps, 1):
        for account, losses in enumerate(trades):
            for lost in losses:
                made.table[account, C_TRADE_COUNT] += 1
                made.table[account, C_LOSSES] = made.table[account, C_LOSSES] + 1 if lost else 0
                run = run + 1 if lost else 0
        passed = made.monitor.watch(minute * MINUTE_NS)
        expected = (REDUCING, BY_CONSECUTIVE_LOSSES) if run >= 3 and state == ACTIVE else None
        assert passed == expected
        state = made.monitor.state


def test_restore_goes_on_with_the_same_peak_day_losses_and_state() -> None:
    limits = RiskLimits(drawdown_fraction=0.1, daily_loss_fraction=0.2)
    made = Accounts(limits)
    made.lose(0, -1_000)
    made.monitor.watch(MINUTE_NS)
    made.table[1, C_TRADE_COUNT] = made.table[1, C_LOSSES] = 1
    made.monitor.watch(2 * MINUTE_NS)
    other = Accounts(limits)
    other.table[:] = made.table
    other.monitor.restore(made.monitor.save(), made.monitor.trades)
    assert other.monitor.begun
    other.lose(1, 300)
    assert other.monitor.watch(3 * MINUTE_NS) == (STATE_HALTED, BY_DRAWDOWN)
    assert other.monitor.save()["losses"] == 1  # the trade is not counted twice


def test_restore_strategy_that_is_new_has_its_trades_of_before_not_counted() -> None:
    made = Accounts(RiskLimits(consecutive_losses=1))
    made.monitor.watch(MINUTE_NS)
    saved = made.monitor.save()
    made.table[1, C_TRADE_COUNT] = made.table[1, C_LOSSES] = 7
    made.monitor.restore(saved, [0, None])
    assert made.monitor.watch(2 * MINUTE_NS) is None


def test_restore_day_goes_on_also_where_the_table_of_days_begins_elsewhere() -> None:
    limits = RiskLimits(daily_loss_fraction=0.1)
    made = Accounts(limits)
    made.monitor.watch(DAY_NS + MINUTE_NS)
    made.lose(0, 150)
    made.monitor.watch(DAY_NS + 2 * MINUTE_NS)
    other = Accounts(limits)
    other.table[:] = made.table
    other.monitor._days = DAYS[1:]
    other.monitor.restore(made.monitor.save(), made.monitor.trades)
    other.lose(0, 50)  # the day's loss is a tenth now; had a day begun, it would be counted from here
    assert other.monitor.watch(DAY_NS + 3 * MINUTE_NS) == (STATE_HALTED, BY_DAILY_LOSS)


@pytest.mark.parametrize("saved", [{}, {"equity": "much"}])
def test_restore_of_something_else_is_an_error(saved: dict[str, int]) -> None:
    with pytest.raises((KeyError, TypeError)):
        Accounts(RiskLimits()).monitor.restore(saved, [0, 0])


def test_reset_limit_that_has_struck_strikes_again_only_when_it_is_passed_anew() -> None:
    made = Accounts(RiskLimits(drawdown_fraction=0.1, daily_loss_fraction=0.1, consecutive_losses=2))
    made.monitor.watch(MINUTE_NS)
    made.lose(0, 200)
    assert made.monitor.watch(2 * MINUTE_NS) == (STATE_HALTED, BY_DAILY_LOSS)
    made.monitor.reset()
    assert (made.monitor.state, made.monitor.peak) == (ACTIVE, 1_800 * MONEY)
    assert made.monitor.watch(3 * MINUTE_NS) is None
    made.lose(0, 180)
    assert made.monitor.watch(4 * MINUTE_NS) == (STATE_HALTED, BY_DAILY_LOSS)


def test_deposit_is_neither_gain_nor_loss() -> None:
    made = Accounts(RiskLimits(drawdown_fraction=0.1, daily_loss_fraction=0.1))
    made.monitor.watch(MINUTE_NS)
    made.table[0, C_CASH] -= 900 * MONEY
    assert made.monitor.measured() == 1_100 * MONEY
    made.monitor.deposit(made.monitor.measured() - made.monitor.equity)
    assert made.monitor.watch(2 * MINUTE_NS) is None


def test_begin_after_a_restart_without_what_was_saved_counts_no_old_trades_and_keeps_the_state() -> None:
    made = Accounts(RiskLimits(consecutive_losses=1, daily_loss_fraction=0.1))
    made.table[0, C_TRADE_COUNT] = made.table[0, C_LOSSES] = 5
    made.lose(0, 500)
    made.monitor.begin(REDUCING)
    assert made.monitor.watch(MINUTE_NS) is None  # the day starts with what there is now
    assert made.monitor.state == REDUCING
