"""Ledgers by hand: brackets, and orders that cancel each other, in one bar and over several."""

from __future__ import annotations

from typing import Any

import pytest

from stratd.execution.rules import AccountRules, Intrabar, LimitFill
from stratd.model import Instrument
from tests.support.ledgers import CAPITAL, Act, Ledger, amend, cancel, expect, fill, order, play, trade, working

OPTIMISTIC = AccountRules(intrabar=Intrabar.OPTIMISTIC)


def bracket(side: str = "buy", stop_loss: float | None = 95, take_profit: float | None = 110, **terms: Any) -> Act:
    """An entry for ten: order 1. Its stop is 2, its target 3."""
    return order(side, 10, stop_loss_price=stop_loss, take_profit_price=take_profit, **terms)


def long_from(
    entry: tuple[str, float, bool], exit_: tuple[int, str, float, bool], ledger: Ledger, **extremes: float | None
) -> None:
    """Ten were bought and sold again: time, price and whether as a maker; which order, time, price, whether as a maker."""
    bought, paid, entry_maker = entry
    number, sold, got, exit_maker = exit_
    pnl = 10 * (got - paid)
    expect(
        ledger,
        fills=[
            fill(1, bought, "buy", 10, paid, maker=entry_maker),
            fill(number, sold, "sell", 10, got, maker=exit_maker),
        ],
        cash=CAPITAL + pnl,
        realised=pnl,
        trades=[
            trade(
                *("buy", 10, (bought, sold), (paid, got)),
                pnl=pnl,
                mae=extremes.get("mae", min(0, pnl)),
                mfe=extremes.get("mfe", max(0, pnl)),
                bars=None,
            )
        ],
    )
    assert ledger.ended[1] == ("filled", 10)
    assert ledger.ended[number] == ("filled", 10)
    if 5 - number in ledger.orders:
        assert ledger.ended[5 - number] == ("cancelled", 0)


# Entry and both children in one bar.


def test_bracket_entered_at_the_open_with_stop_and_target_in_the_bar_takes_the_stop() -> None:
    ledger = play("12:00 100\n12:01 100 112 94 105\n12:02 105", {"12:01": bracket()})
    long_from(("12:01", 100, False), (2, "12:02", 95, False), ledger)
    assert ledger.trades[0].bars == 1, "the entry bar is counted"


def test_bracket_entered_at_the_open_with_stop_and_target_in_the_bar_takes_the_target_where_optimistic() -> None:
    ledger = play("12:00 100\n12:01 100 112 94 105\n12:02 105", {"12:01": bracket()}, rules=OPTIMISTIC)
    long_from(("12:01", 100, False), (3, "12:02", 110, True), ledger)


def test_bracket_entered_at_the_open_takes_a_target_that_the_bar_trades_through() -> None:
    ledger = play("12:00 100\n12:01 100 112 96 105\n12:02 105", {"12:01": bracket()})
    long_from(("12:01", 100, False), (3, "12:02", 110, True), ledger)


def test_bracket_entered_by_a_limit_at_the_open_takes_a_target_that_the_bar_trades_through() -> None:
    ledger = play("12:00 100\n12:01 100 112 96 105\n12:02 105", {"12:01": bracket(kind="limit", limit_price=101)})
    long_from(("12:01", 100, False), (3, "12:02", 110, True), ledger)


def test_bracket_entered_by_a_limit_takes_a_stop_that_the_bar_touches() -> None:
    ledger = play("12:00 100\n12:01 100 101 94 99\n12:02 99", {"12:01": bracket(kind="limit", limit_price=98)})
    long_from(("12:02", 98, True), (2, "12:02", 95, False), ledger)


def test_bracket_entered_by_a_limit_leaves_a_target_that_the_high_may_have_met_before() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 112  97 105   # in at 98; 112 may have come before; of this bar the close counts: +70
        12:02 105 111 104 109   # out at 110
        12:03 109
        """,
        {"12:01": bracket(kind="limit", limit_price=98), "12:02": working},
    )
    long_from(("12:02", 98, True), (3, "12:03", 110, True), ledger, mae=0, mfe=10 * (110 - 98))
    assert ledger.answers[-1] == [(2, 10, 0), (3, 10, 0)]
    assert ledger.trades[0].bars == 1


def test_bracket_entered_by_a_limit_takes_a_target_that_the_close_is_beyond() -> None:
    ledger = play("12:00 100\n12:01 100 112 97 111\n12:02 111", {"12:01": bracket(kind="limit", limit_price=98)})
    long_from(("12:02", 98, True), (3, "12:02", 110, True), ledger)


@pytest.mark.parametrize(("rule", "sold"), [(LimitFill.TOUCH, "12:02"), (LimitFill.THROUGH, "12:03")])
def test_bracket_entered_by_a_limit_with_the_close_at_the_target_goes_by_the_limit_rule(rule: LimitFill, sold: str) -> None:
    ledger = play(
        "12:00 100\n12:01 100 112 97 110\n12:02 109 111 109 111\n12:03 111",
        {"12:01": bracket(kind="limit", limit_price=98)},
        rules=AccountRules(limit_fill=rule),
    )
    long_from(("12:02", 98, True), (3, sold, 110, True), ledger)


def test_bracket_entered_by_a_stop_takes_a_stop_that_the_bar_touches() -> None:
    ledger = play("12:00 100\n12:01 102 112 100.5 108\n12:02 108", {"12:01": bracket(stop_loss=101, kind="stop", stop_price=105)})
    long_from(("12:02", 105, False), (2, "12:02", 101, False), ledger)


def test_bracket_entered_by_a_stop_takes_a_target_that_the_bar_trades_through() -> None:
    ledger = play("12:00 100\n12:01 102 112 101.5 108\n12:02 108", {"12:01": bracket(stop_loss=101, kind="stop", stop_price=105)})
    long_from(("12:02", 105, False), (3, "12:02", 110, True), ledger)


def test_bracket_entered_by_a_stop_leaves_a_target_that_the_bar_only_touches() -> None:
    ledger = play(
        "12:00 100\n12:01 102 110 101.5 108\n12:02 109 113 109 112\n12:03 112",
        {"12:01": bracket(stop_loss=101, kind="stop", stop_price=105)},
    )
    long_from(("12:02", 105, False), (3, "12:03", 110, True), ledger)


def test_bracket_entered_by_a_stop_takes_the_target_before_the_stop_where_optimistic() -> None:
    ledger = play(
        "12:00 100\n12:01 102 112 100.5 108\n12:02 108",
        {"12:01": bracket(stop_loss=101, kind="stop", stop_price=105)},
        rules=OPTIMISTIC,
    )
    long_from(("12:02", 105, False), (3, "12:02", 110, True), ledger)


def test_bracket_entered_by_a_limit_takes_a_target_that_the_high_is_beyond_where_optimistic() -> None:
    ledger = play(
        "12:00 100\n12:01 100 112 94 105\n12:02 105", {"12:01": bracket(kind="limit", limit_price=98)}, rules=OPTIMISTIC
    )
    long_from(("12:02", 98, True), (3, "12:02", 110, True), ledger)


def test_bracket_entered_in_the_bar_takes_a_stop_only_if_the_close_has_reached_it_where_optimistic() -> None:
    entry = bracket(take_profit=None, kind="limit", limit_price=98)
    waits = play("12:00 100\n12:01 100 101 94 97\n12:02 97 97 94.5 96\n12:03 96", {"12:01": entry}, rules=OPTIMISTIC)
    long_from(("12:02", 98, True), (2, "12:03", 95, False), waits)
    taken = play("12:00 100\n12:01 100 101 93 94\n12:02 94", {"12:01": entry}, rules=OPTIMISTIC)
    long_from(("12:02", 98, True), (2, "12:02", 95, False), taken)


# The entry's own price has passed a child.


def test_bracket_entered_at_an_open_below_its_stop_is_out_at_once() -> None:
    ledger = play("12:00 100\n12:01 94 101 93 99\n12:02 99", {"12:01": bracket()})
    long_from(("12:01", 94, False), (2, "12:01", 94, False), ledger)


def test_bracket_entered_at_an_open_above_its_target_is_out_at_once() -> None:
    ledger = play("12:00 100\n12:01 112 113 111 112\n12:02 112", {"12:01": bracket()})
    long_from(("12:01", 112, False), (3, "12:01", 112, False), ledger)


def test_bracket_entered_by_a_limit_that_its_target_meets_is_out_at_the_entrys_price() -> None:
    ledger = play("12:00 100\n12:01 100 101 97 99\n12:02 99", {"12:01": bracket(take_profit=97.5, kind="limit", limit_price=98)})
    assert [(one.order, one.price) for one in ledger.fills] == [(1, 98), (3, 98)]
    assert ledger.realised == 0
    assert ledger.positions == {}


# Later bars, other sides, other ends.


def test_bracket_of_a_short_takes_its_stop_above() -> None:
    ledger = play("12:00 100\n12:01 100 106 89 95\n12:02 95", {"12:01": bracket("sell", stop_loss=105, take_profit=90)})
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 100), fill(2, "12:02", "buy", 10, 105)],
        cash=CAPITAL + 10 * (100 - 105),
        realised=10 * (100 - 105),
        trades=[trade("sell", 10, ("12:01", "12:02"), (100, 105), pnl=-50, mae=-50, mfe=0, bars=None)],
    )
    assert ledger.ended[3] == ("cancelled", 0)


def test_bracket_with_a_gap_through_its_stop_is_out_at_the_open() -> None:
    ledger = play("12:00 100\n12:01 100 102 99 101\n12:02 91 92 90 91\n12:03 91", {"12:01": bracket()})
    long_from(("12:01", 100, False), (2, "12:02", 91, False), ledger, mfe=10 * (102 - 100))


def test_bracket_with_a_gap_through_its_target_is_out_at_the_better_open() -> None:
    ledger = play("12:00 100\n12:01 100 102 99 101\n12:02 113 114 94 111\n12:03 111", {"12:01": bracket()})
    long_from(("12:01", 100, False), (3, "12:02", 113, False), ledger, mae=10 * (99 - 100))


def test_bracket_with_a_stop_alone_holds_until_it_is_reached() -> None:
    ledger = play("12:00 100\n12:01 100 120 96 118\n12:02 118 119 95 100\n12:03 100", {"12:01": bracket(take_profit=None)})
    long_from(("12:01", 100, False), (2, "12:03", 95, False), ledger, mfe=10 * (120 - 100))


def test_bracket_with_a_target_alone_holds_until_it_is_reached() -> None:
    ledger = play("12:00 100\n12:01 100 105 70 80\n12:02 80 111 80 105\n12:03 105", {"12:01": bracket(stop_loss=None)})
    pnl = 10 * (110 - 100)
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:03", "sell", 10, 110, maker=True)],
        cash=CAPITAL + pnl,
        realised=pnl,
        trades=[trade("buy", 10, ("12:01", "12:03"), (100, 110), pnl=pnl, mae=10 * (70 - 100), mfe=pnl, bars=1)],
    )


@pytest.mark.parametrize(
    "acts",
    [
        pytest.param({"12:01": bracket(kind="limit", limit_price=98, time_in_force="ioc")}, id="ioc that finds nothing"),
        pytest.param({"12:01": bracket(kind="limit", limit_price=90), "12:02": cancel(1)}, id="cancelled"),
    ],
)
def test_children_of_an_entry_that_ends_with_nothing_filled_are_cancelled(acts: dict[str, Act]) -> None:
    ledger = play("12:00 100\n12:01 100 112 94 105\n12:02 80 130 80 100\n12:03 100", acts)
    expect(ledger, fills=[], cash=CAPITAL)
    assert ledger.ended == {1: ("cancelled", 0), 2: ("cancelled", 0), 3: ("cancelled", 0)}


def test_children_are_held_and_never_fill_before_their_entry() -> None:
    ledger = play(
        "12:00 100\n12:01 100 112 94 105\n12:02 105 111 104 109\n12:03 109",
        {"12:01": bracket(kind="limit", limit_price=90)},
    )
    expect(ledger, fills=[], cash=CAPITAL)
    assert ledger.ended == {}


def test_children_have_prices_on_the_grid_as_a_stop_and_a_limit() -> None:
    quarters = (Instrument("AAA", tick=0.25),)
    ledger = play("12:00 100", {"12:01": bracket(stop_loss=95.10, take_profit=110.10)}, instruments=quarters)
    assert (ledger.orders[2].stop_price, ledger.orders[3].limit_price) == (95.00, 110.25)
    ledger = play("12:00 100", {"12:01": bracket("sell", stop_loss=105.10, take_profit=90.10)}, instruments=quarters)
    assert (ledger.orders[2].stop_price, ledger.orders[3].limit_price) == (105.25, 90.00)


def test_children_work_in_the_entrys_bar_whatever_the_latency() -> None:
    ledger = play(
        "12:00 100\n12:01 100 100 90 100\n12:02 100 101 94 96\n12:03 96",
        {"12:01": bracket()},
        rules=AccountRules(latency_seconds=60),
    )
    long_from(("12:02", 100, False), (2, "12:03", 95, False), ledger)


def test_child_that_is_amended_while_it_is_held_works_at_its_new_price() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 98 99 96.5 97\n12:03 97 97 95.5 96\n12:04 96",
        {"12:01": bracket(kind="limit", limit_price=98), "12:02": amend(2, stop_price=96)},
    )
    long_from(("12:02", 98, False), (2, "12:04", 96, False), ledger, mfe=10 * (99 - 98))


def test_bracket_entered_by_a_stop_limit_is_protected_in_its_bar() -> None:
    ledger = play(
        "12:00 100\n12:01 102 106 100 104\n12:02 104",
        {"12:01": bracket(stop_loss=101, kind="stop_limit", stop_price=105, limit_price=106)},
    )
    long_from(("12:02", 105, False), (2, "12:02", 101, False), ledger)


def test_children_take_no_buying_power() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 100",
        {"12:01": [order("buy", 600, stop_loss_price=95, take_profit_price=110), order("buy", 399)]},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 600, 100), fill(4, "12:01", "buy", 399, 100)],
        cash=CAPITAL - 999 * 100,
    )


# Partial entries: 16 x 0.25 = 4 lots.

QUARTER = AccountRules(participation=0.25)


def test_children_grow_with_what_the_entry_has_filled() -> None:
    ledger = play(
        """
        12:00 100 100 100  100 1000
        12:01  99  99  97   98 16     # 4 at 98
        12:02  99  99  97.5 99 16     # 4 more
        12:03  99  99  97   99 1000   # the last 2
        12:04 109 112 108  111 1000   # all 10 at the target
        12:05 111
        """,
        {
            "12:01": bracket(kind="limit", limit_price=98),
            "12:02": working,
            "12:03": working,
            "12:04": working,
            "12:05": working,
        },
        rules=QUARTER,
    )
    assert ledger.answers[1:] == [
        [(1, 10, 4), (2, 4, 0), (3, 4, 0)],
        [(1, 10, 8), (2, 8, 0), (3, 8, 0)],
        [(2, 10, 0), (3, 10, 0)],
        [],
    ]
    expect(
        ledger,
        fills=[
            fill(1, "12:02", "buy", 4, 98, maker=True),
            fill(1, "12:03", "buy", 4, 98, maker=True),
            fill(1, "12:04", "buy", 2, 98, maker=True),
            fill(3, "12:05", "sell", 10, 110, maker=True),
        ],
        cash=CAPITAL + 10 * (110 - 98),
        realised=10 * (110 - 98),
        trades=[trade("buy", 10, ("12:02", "12:05"), (98, 110), pnl=120, mae=None, mfe=120, bars=3)],
    )
    assert ledger.ended == {1: ("filled", 10), 2: ("cancelled", 0), 3: ("filled", 10)}


def test_entry_that_goes_on_at_an_open_below_its_stop_is_out_with_all_of_it() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01 100 100  94  96 16     # 4 at the open; the stop is reached, but there is no volume left
        12:02  93  94  92  93 1000   # 6 at the open, and all 10 out
        12:03  93
        """,
        {"12:01": bracket()},
        rules=QUARTER,
    )
    cost = 4 * 100 + 6 * 93
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 4, 100),
            fill(1, "12:02", "buy", 6, 93),
            fill(2, "12:02", "sell", 10, 93),
        ],
        cash=CAPITAL - cost + 10 * 93,
        realised=10 * 93 - cost,
        trades=[
            trade("buy", 10, ("12:01", "12:02"), (cost / 10, 93), pnl=-28, mae=10 * 93 - cost, mfe=0, bars=1),
        ],
    )
    assert ledger.ended[3] == ("cancelled", 0)


def test_children_of_an_entry_cancelled_in_part_keep_the_part() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01  99  99  97  98 16     # 4 at 98
        12:02  99  99  97  99 1000   # nothing: the rest was cancelled
        12:03 109 111 108 109 1000
        12:04 109
        """,
        {"12:01": bracket(kind="limit", limit_price=98), "12:02": [cancel(1), working]},
        rules=QUARTER,
    )
    expect(
        ledger,
        fills=[fill(1, "12:02", "buy", 4, 98, maker=True), fill(3, "12:04", "sell", 4, 110, maker=True)],
        cash=CAPITAL + 4 * (110 - 98),
        realised=4 * (110 - 98),
        trades=[trade("buy", 4, ("12:02", "12:04"), (98, 110), pnl=48, mae=4 * (97 - 98), mfe=48, bars=2)],
    )
    assert ledger.ended == {1: ("cancelled", 4), 2: ("cancelled", 0), 3: ("filled", 4)}


def test_entry_that_fills_on_after_its_target_took_the_first_part_is_protected_again() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01  99  99  97  98 16     # 4 at 98
        12:02 105 112 104 111 1000   # 4 at the target
        12:03 111 111  97  98 1000   # the other 6 at 98
        12:04  94  94  93  93 1000   # their stop, over a gap
        12:05  93
        """,
        {"12:01": bracket(kind="limit", limit_price=98)},
        rules=QUARTER,
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:02", "buy", 4, 98, maker=True),
            fill(3, "12:03", "sell", 4, 110, maker=True),
            fill(1, "12:04", "buy", 6, 98, maker=True),
            fill(2, "12:04", "sell", 6, 94),
        ],
        cash=CAPITAL + 4 * (110 - 98) + 6 * (94 - 98),
        realised=4 * (110 - 98) + 6 * (94 - 98),
        trades=[
            trade("buy", 4, ("12:02", "12:03"), (98, 110), pnl=48, mae=0, mfe=48, bars=None),
            trade("buy", 6, ("12:04", "12:04"), (98, 94), pnl=-24, mae=-24, mfe=0, bars=None),
        ],
    )


# Groups by name.


def test_group_loses_what_one_of_it_fills_and_the_last_is_cancelled_when_nothing_is_left() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01 100 100 100 100 1000   # 10 long
        12:02 105 111 104 106 16     # 4 at the limit of 110: 6 left for the stop
        12:03  94  95  93  94 1000   # the stop, over a gap
        12:04 120
        """,
        {
            "12:01": order("buy", 10),
            "12:02": [
                order("sell", 10, kind="limit", limit_price=110, oco="out"),
                order("sell", 10, kind="stop", stop_price=95, oco="out"),
            ],
            "12:04": working,
        },
        rules=QUARTER,
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 10, 100),
            fill(2, "12:03", "sell", 4, 110, maker=True),
            fill(3, "12:03", "sell", 6, 94),
        ],
        cash=CAPITAL + 4 * (110 - 100) + 6 * (94 - 100),
        realised=4 * (110 - 100) + 6 * (94 - 100),
        trades=[
            trade(
                *("buy", 10, ("12:01", "12:03"), (100, (4 * 110 + 6 * 94) / 10)),
                pnl=4 * 10 - 6 * 6,
                mae=6 * (94 - 100),
                mfe=None,
                bars=2,
            )
        ],
    )
    assert ledger.answers[-1] == []
    assert ledger.ended[2] == ("cancelled", 4)
    assert ledger.ended[3] == ("filled", 6)


def test_smaller_order_of_a_group_is_cancelled_by_a_part_that_is_as_large() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01 100 100 100 100 1000
        12:02 105 111 104 106 16     # 4 at the limit: the stop for 4 is gone
        12:03  94  95  93  94 1000
        12:04 111 111 111 111 1000   # the other 6 at the open
        """,
        {
            "12:01": order("buy", 10),
            "12:02": [
                order("sell", 10, kind="limit", limit_price=110, oco="out"),
                order("sell", 4, kind="stop", stop_price=95, oco="out"),
            ],
        },
        rules=QUARTER,
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 10, 100),
            fill(2, "12:03", "sell", 4, 110, maker=True),
            fill(2, "12:04", "sell", 6, 111),
        ],
        cash=CAPITAL + 4 * (110 - 100) + 6 * (111 - 100),
        realised=4 * (110 - 100) + 6 * (111 - 100),
        trades=[
            trade(
                *("buy", 10, ("12:01", "12:04"), (100, (4 * 110 + 6 * 111) / 10)),
                pnl=40 + 66,
                mae=6 * (93 - 100),
                mfe=None,
                bars=3,
            )
        ],
    )
    assert ledger.ended[3] == ("cancelled", 0)


def test_entries_of_a_group_that_one_bar_reaches_on_both_sides_fill_the_older_alone() -> None:
    ledger = play(
        "12:00 100\n12:01 100 106 94 103\n12:02 103",
        {
            "12:01": [
                order("buy", 10, kind="stop", stop_price=105, oco="way"),
                order("sell", 10, kind="stop", stop_price=95, oco="way"),
            ]
        },
    )
    expect(ledger, fills=[fill(1, "12:02", "buy", 10, 105)], cash=CAPITAL - 10 * 105, unrealised=10 * (103 - 105))
    assert ledger.ended == {1: ("filled", 10), 2: ("cancelled", 0)}


def test_orders_of_other_groups_and_of_none_are_left_alone() -> None:
    ledger = play(
        "12:00 100\n12:01 100 106 94 103\n12:02 103",
        {
            "12:01": [
                order("buy", 10, kind="stop", stop_price=105, oco="a"),
                order("buy", 5, kind="limit", limit_price=95, oco="b"),
                order("buy", 2, kind="limit", limit_price=95),
            ]
        },
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:02", "buy", 10, 105),
            fill(2, "12:02", "buy", 5, 95, maker=True),
            fill(3, "12:02", "buy", 2, 95, maker=True),
        ],
        cash=CAPITAL - 10 * 105 - 7 * 95,
        unrealised=10 * (103 - 105) + 7 * (103 - 95),
    )


def test_third_order_of_a_group_loses_what_the_others_fill() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01 100 100 100 100 1000
        12:02 105 111 104 106 16     # 4 at the nearer limit
        12:03 110 116 110 114 12     # 3 at the open: it betters the nearer limit; nothing is left for the farther
        12:04  94  94  94  94 1000   # the stop for the last 3
        """,
        {
            "12:01": order("buy", 10),
            "12:02": [
                order("sell", 10, kind="limit", limit_price=110, oco="out"),
                order("sell", 10, kind="limit", limit_price=115, oco="out"),
                order("sell", 10, kind="stop", stop_price=95, oco="out"),
            ],
            "12:03": working,
            "12:04": working,
        },
        rules=QUARTER,
    )
    assert ledger.fills[1:] == [
        fill(2, "12:03", "sell", 4, 110, maker=True),
        fill(2, "12:03", "sell", 3, 110),
        fill(4, "12:04", "sell", 3, 94),
    ]
    assert ledger.positions == {}
    assert {number: state for number, (state, _) in ledger.ended.items()} == {
        1: "filled",
        2: "cancelled",
        3: "cancelled",
        4: "filled",
    }
