"""The engine against a second, plain simulator of ADR 0007, event by event; and that simulator against ledgers by hand."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratd.execution.rules import AccountRules, AtEnd, Commission, FillRule, Intrabar, LimitFill, LotRule, Slippage
from stratd.model import MONEY, Instrument, OrderKind, OrderRequest, Side, TimeInForce
from stratd.testing.bars import bars, nanoseconds
from tests.support.plain_account import play
from tests.support.plain_cases import cases
from tests.support.plain_run import differences
from tests.support.plain_types import Action, Amend, Cancel, Case, Ended, Filled, Place, Round
from tests.support.reference import Listed

pytestmark = pytest.mark.timeout(600)  # for the shrinking of a failure

SIZES = st.sampled_from(((8, 5), (1, 1), (2, 3), (64, 2), (4096, 4096)))
AAA = Instrument("AAA", tick=0.01)


def order(side: str, quantity: float, **words: Any) -> Place:
    symbol = words.pop("symbol", "AAA")
    return Place(OrderRequest(symbol=symbol, side=Side(side), quantity=quantity, **words))


def case(text: str, script: dict[int, tuple[Action, ...]], **words: Any) -> Case:
    """A case of bars as text; the script goes by the strategy's events."""
    instruments = words.pop("instruments", (AAA,))
    rules = AccountRules(allocated_capital=words.pop("capital", 100_000.0), **words.pop("rules", {}))
    listed = tuple(Listed(one.symbol) for one in instruments)
    return Case(tuple(bars(text)), listed, instruments, rules=rules, script=tuple(sorted(script.items())), **words)


def agree(made: Case, size: tuple[int, int] = (8, 5)) -> None:
    found = differences(made, *size)
    assert not found, "\n".join(found)


# The engine against the plain simulator.


@settings(max_examples=250)
@given(cases(fill=FillRule.NEXT_OPEN), SIZES)
def test_account_of_any_case_is_the_plain_account(made: Case, size: tuple[int, int]) -> None:
    agree(made, size)


@settings(max_examples=80)
@given(cases(fill=FillRule.CLOSE), SIZES)
def test_account_that_fills_at_closes_is_the_plain_account(made: Case, size: tuple[int, int]) -> None:
    agree(made, size)


@pytest.mark.prove
@pytest.mark.timeout(3_600)
@settings(max_examples=20_000)
@given(st.one_of(cases(40, FillRule.NEXT_OPEN), cases(40), cases(8)), SIZES)
def test_account_of_very_many_cases_is_the_plain_account(made: Case, size: tuple[int, int]) -> None:
    agree(made, size)


# The smallest cases of what once went wrong, or could be read in two ways.

FLAT = "12:00 10\n12:01 10\n12:02 10\n12:03 10\n12:04 10"
RANGE = "12:00 10\n12:01 10 11 9 10 100\n12:02 10 11 9 10 100"
TWO = "AAA 12:00 10\nBBB 12:00 20\nAAA 12:01 10\nBBB 12:01 20\nAAA 12:02 10\nBBB 12:02 20"
BBB = Instrument("BBB", tick=0.01)
CASES = {
    "second amendment before the first took effect keeps it": case(
        FLAT,
        {
            0: (order("sell", 10, kind=OrderKind.STOP_LIMIT, limit_price=9.0, stop_price=9.5),),
            1: (Amend(0, 3.0, None, None), Amend(0, None, None, 10.0)),
        },
    ),
    "amendments within the latency of one another all take effect": case(
        FLAT,
        {
            0: (order("sell", 10, kind=OrderKind.STOP_LIMIT, limit_price=9.0, stop_price=9.5),),
            1: (Amend(0, 3.0, None, None),),
            2: (Amend(0, None, None, 10.0),),
        },
        rules={"latency_seconds": 60.0},
    ),
    "child stays while its entry works": case(
        "12:00 10 10 10 10 1000\n12:01 10 10 10 10 1000\n12:02 10 10 10 10 30\n12:03 10 10 10 10 1000\n12:04 9 9 9 9 1000",
        {0: (order("buy", 5),), 1: (order("sell", 10, stop_loss_price=11.0, take_profit_price=9.5),)},
        rules={"participation": 0.1},
    ),
    "child that its entry passes stays while the entry works": case(
        "12:00 10 10 10 10 1000\n12:01 10 10 10 10 1000\n12:02 10 10 10 10 30\n12:03 10 10 10 10 1000\n12:04 9 9 9 9 1000",
        {0: (order("buy", 5),), 1: (order("sell", 10, take_profit_price=10.5),)},
        rules={"participation": 0.1},
    ),
    "child of an entry that fills in parts covers the later parts": case(
        "12:00 10 10 10 10 1000\n12:01 10 10 10 10 7\n12:02 11 11 11 11 1000\n12:03 10 10 10 10 1000\n12:04 9 9 9 9 1000",
        {0: (order("buy", 10, kind=OrderKind.LIMIT, limit_price=10.0, stop_loss_price=9.5, take_profit_price=10.5),)},
        rules={"participation": 1.0},
    ),
    "fills at the close where they were decided keep to participation": case(
        "12:00 10 10 10 10 7\n12:01 10 10 10 10 30",
        {0: (order("sell", 30),)},
        rules={"participation": 0.3, "fill": FillRule.CLOSE},
    ),
    "fills at the close where they were decided slip by the range": case(
        RANGE, {1: (order("buy", 5),)}, rules={"fill": FillRule.CLOSE, "slippage": Slippage(range_fraction=0.1)}
    ),
    "positions closed at the end slip by the range": case(
        RANGE, {0: (order("buy", 5),)}, rules={"at_end": AtEnd.CLOSE, "slippage": Slippage(range_fraction=0.1)}
    ),
    "sale that can only reduce needs no buying power": case(
        FLAT, {0: (order("buy", 30),), 2: (order("sell", 100),)}, capital=310.0, rules={"allow_short": False}
    ),
    "refused order does not make the account follow its symbol": case(
        "AAA 12:00 10\nBBB 12:00 20\nAAA 12:01 10\nBBB 2024-01-05T12:00 20\nAAA 2024-01-06T12:00 10",
        {1: (order("sell", 100), order("buy", 1, symbol="BBB", reduce_only=True))},
        instruments=(AAA, BBB),
        rules={"borrow_rate": 0.05},
    ),
    "order that was cancelled is a duplicate yet with fills at closes": case(
        FLAT, {1: (order("buy", 5), Cancel(0), order("buy", 5))}, rules={"fill": FillRule.CLOSE}
    ),
    "order that was cancelled is a duplicate yet": case(FLAT, {1: (order("buy", 5), Cancel(0), order("buy", 5))}),
    "stop child that its entry passes at the open fills at the open": case(
        FLAT, {0: (order("buy", 5, stop_loss_price=10.5),)}, rules={"slippage": Slippage(ticks=1.0)}
    ),
    "group over two symbols": case(
        TWO,
        {1: (order("buy", 5, kind=OrderKind.LIMIT, limit_price=9.0, oco="one"), order("buy", 5, symbol="BBB", oco="one"))},
        instruments=(AAA, BBB),
    ),
    "reduce-only fill-or-kill order takes what there is": case(
        FLAT, {0: (order("buy", 2),), 2: (order("sell", 3, time_in_force=TimeInForce.FOK, reduce_only=True),)}
    ),
    "stop-limit beyond its limit fills where the close is": case(
        "12:00 10\n12:01 10 10.6 9.9 10 100",
        {0: (order("buy", 5, kind=OrderKind.STOP_LIMIT, limit_price=10.0, stop_price=10.5),)},
        rules={"limit_fill": LimitFill.TOUCH},
    ),
    "flip shares its fee between both trades": case(
        FLAT,
        {0: (order("buy", 5),), 1: (order("sell", 8),), 2: (order("buy", 3),)},
        rules={"commission": Commission(per_order=1.0)},
    ),
}


@pytest.mark.parametrize("made", CASES.values(), ids=CASES)
@pytest.mark.parametrize("size", [(8, 5), (1, 1)], ids=["window8", "window1"])
def test_account_of_a_small_case_is_the_plain_account(made: Case, size: tuple[int, int]) -> None:
    agree(made, size)


# The plain simulator against ledgers by hand.


def fills(made: Case) -> list[tuple[int, int, float, float]]:
    """Order, minute within the hour, signed lots, price."""
    start = nanoseconds("2024-01-02T12:00")
    found = [one for one in play(made).kept if isinstance(one, Filled)]
    return [(one.order_id, (one.time - start) // 60_000_000_000, one.sign * one.lots, float(one.price)) for one in found]


def test_plain_market_order_fills_at_the_next_open_and_pays_slippage_and_commission() -> None:
    rules = {"slippage": Slippage(bps=10.0), "commission": Commission(per_share=0.01, minimum=1.0, per_order=0.5)}
    made = case("12:00 100\n12:01 100.5 101 100 100.8 1000", {0: (order("buy", 10),)}, rules=rules)
    # 100.5 x 1.001 = 100.6005, up to 100.61; the minimum of 1.00 is more than 10 x 0.01; and 0.50 for the order.
    assert fills(made) == [(1, 1, 10, 100.61)]
    outcome = play(made)
    assert outcome.fees == round(1.5 * MONEY)
    assert outcome.cash == round((100_000 - 1006.1 - 1.5) * MONEY)
    assert outcome.equity == round((100_000 - 1006.1 - 1.5 + 1008) * MONEY)


def test_plain_gap_through_a_stop_fills_at_the_open() -> None:
    made = case(
        "12:00 100\n12:01 100\n12:02 95 96 94 95",
        {0: (order("buy", 1),), 1: (order("sell", 1, kind=OrderKind.STOP, stop_price=98),)},
    )
    assert fills(made) == [(1, 1, 1, 100.0), (2, 2, -1, 95.0)]
    trade = next(one for one in play(made).kept if isinstance(one, Round))
    assert (trade.pnl, trade.mae, trade.mfe, trade.bars_held) == (-5 * MONEY, -5 * MONEY, 0, 1)


def test_plain_bracket_within_one_bar_takes_the_loss_unless_optimistic() -> None:
    text, script = "12:00 100\n12:01 100 103 97 101", {0: (order("buy", 1, stop_loss_price=98, take_profit_price=102),)}
    assert fills(case(text, script)) == [(1, 1, 1, 100.0), (2, 2, -1, 98.0)]
    assert fills(case(text, script, rules={"intrabar": Intrabar.OPTIMISTIC})) == [(1, 1, 1, 100.0), (3, 2, -1, 102.0)]


def test_plain_target_of_a_limit_entry_counts_only_where_the_close_is_beyond_it() -> None:
    script: dict[int, tuple[Action, ...]] = {0: (order("buy", 1, kind=OrderKind.LIMIT, limit_price=99, take_profit_price=101),)}
    assert fills(case("12:00 100\n12:01 100 102 98 100.5", script)) == [(1, 2, 1, 99.0)]
    assert fills(case("12:00 100\n12:01 100 102 98 101.5", script)) == [(1, 2, 1, 99.0), (2, 2, -1, 101.0)]


def test_plain_participation_spreads_an_order_over_bars() -> None:
    text = "12:00 100\n12:01 100 100 100 100 30\n12:02 101 101 101 101 55\n12:03 102 102 102 102 900"
    made = case(text, {0: (order("buy", 10),)}, rules={"participation": 0.1})
    assert fills(made) == [(1, 1, 3, 100.0), (1, 2, 5, 101.0), (1, 3, 2, 102.0)]


def test_plain_trailing_stop_follows_the_high_and_fills_at_its_level() -> None:
    made = case(
        "12:00 100\n12:01 100 104 100 103\n12:02 103 103 101 102",
        {0: (order("buy", 1), order("sell", 1, kind=OrderKind.TRAILING_STOP, trail_amount=2, oco="x"))},
    )
    # The high of 104 puts the stop at 102, which the close of 103 has not reached; the next bar touches it.
    assert fills(made) == [(1, 1, 1, 100.0), (2, 3, -1, 102.0)]


def test_plain_lots_go_by_average_or_oldest_first() -> None:
    text = "12:00 10\n12:01 10\n12:02 13\n12:03 12"
    script: dict[int, tuple[Action, ...]] = {0: (order("buy", 2),), 1: (order("buy", 1),), 2: (order("sell", 2),)}
    # Bought 2 at 10 and 1 at 13, sold 2 at 12: the average of 11 gives 2, the oldest two 4.
    assert play(case(text, script)).realised == 2 * MONEY
    assert play(case(text, script, rules={"lots": LotRule.FIFO})).realised == 4 * MONEY


def test_plain_day_order_ends_at_the_close_of_its_utc_day() -> None:
    limit = order("buy", 1, kind=OrderKind.LIMIT, limit_price=9, time_in_force=TimeInForce.DAY)
    made = case("23:58 10\n23:59 10\n2024-01-03T00:00 8", {0: (limit,)})
    assert [one for one in play(made).kept if isinstance(one, Ended)] == [Ended(nanoseconds("2024-01-03T00:00"), 1, "expired", 0)]


def test_plain_short_position_pays_borrow_for_each_day() -> None:
    made = case("12:00 100\n12:01 100\n2024-01-05T12:00 100", {0: (order("sell", 73),)}, rules={"borrow_rate": 0.05})
    # 7,300 x 0.05 / 365 = 1.00 a day, for three days.
    assert play(made).financing == 3 * MONEY


def test_plain_group_takes_what_one_fills_off_the_other() -> None:
    made = case(
        "12:00 10\n12:01 10 10.5 10 10.5\n12:02 9 9 9 9",
        {
            0: (
                order("buy", 3, kind=OrderKind.STOP, stop_price=10.2, oco="x"),
                order("buy", 5, kind=OrderKind.LIMIT, limit_price=9.5, oco="x"),
            )
        },
    )
    assert fills(made) == [(1, 2, 3, 10.2), (2, 2, 2, 9.0)]
