"""Ledgers worked out by hand from ADR 0007: market orders, what is held and what it brought, and what becomes of it at the end.

Each expectation stands as arithmetic: quantity times the difference of two prices that can be read off the bars above it.
"""

from __future__ import annotations

from fractions import Fraction

from stratd.execution.rules import AccountRules, AtEnd, Commission, FillRule, LotRule, Slippage
from stratd.model import MONEY, Instrument
from tests.support.ledgers import (
    AAA,
    ANY,
    BBB,
    CAPITAL,
    Plan,
    amend,
    expect,
    fill,
    held,
    nothing,
    order,
    play,
    trade,
    units,
    working,
)


def test_market_order_without_an_end_fills_at_the_next_open_and_is_marked_at_closes() -> None:
    ledger = play(
        """
        12:00 100 101  99 100
        12:01 101 104 100 103
        12:02 103 105 102 104
        """,
        {"12:01": order("buy", 10), "12:02": held},
    )
    expect(ledger, fills=[fill(1, "12:01", "buy", 10, 101)], cash=CAPITAL - 10 * 101, unrealised=10 * (104 - 101))
    assert ledger.positions == {"AAA": (10, 101)}
    assert ledger.answers == [1, (10, 101)]
    assert ledger.ended == {1: ("filled", 10)}
    assert ledger.equity == {
        "12:01": units(CAPITAL),
        "12:02": units(CAPITAL + 10 * (103 - 101)),
        "12:03": units(CAPITAL + 10 * (104 - 101)),
    }


def test_equity_is_recorded_from_the_step_of_the_first_order_or_refusal_on_and_when_flat_too() -> None:
    text = "12:00 100\n12:01 100\n12:02 101\n12:03 102\n12:04 103"
    traded = play(text, {"12:02": order("buy", 10), "12:03": order("sell", 10)})
    after = units(CAPITAL + 10 * (102 - 101))
    assert traded.equity == {"12:02": units(CAPITAL), "12:03": units(CAPITAL), "12:04": after, "12:05": after}
    refused = play(text, {"12:03": order("buy", 5000)})
    assert refused.equity == {"12:03": units(CAPITAL), "12:04": units(CAPITAL), "12:05": units(CAPITAL)}
    assert play(text, {"12:03": nothing}).equity == {}


ROUND_TRIP = """
    12:00 100 101  99 100
    12:01 101 104  98 103   # in at 101; filled at the open, so 98 and 104 were seen while it was held
    12:02 103 107 102 104
    12:03 104 109  90 105   # out at 104: of this bar no other price counts
    12:04 105
"""


def test_long_round_trip_has_the_extremes_of_its_bars_and_of_the_last_one_only_its_exit() -> None:
    ledger = play(ROUND_TRIP, {"12:01": order("buy", 10), "12:03": order("sell", 10)})
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 101), fill(2, "12:03", "sell", 10, 104)],
        cash=CAPITAL + 10 * (104 - 101),
        realised=10 * (104 - 101),
        trades=[trade("buy", 10, ("12:01", "12:03"), (101, 104), pnl=10 * 3, mae=10 * (98 - 101), mfe=10 * (107 - 101), bars=2)],
    )
    assert ledger.positions == {}


def test_short_round_trip_is_the_mirror_of_a_long_one() -> None:
    ledger = play(ROUND_TRIP, {"12:01": order("sell", 10), "12:03": order("buy", 10)})
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 101), fill(2, "12:03", "buy", 10, 104)],
        cash=CAPITAL + 10 * 101 - 10 * 104,
        realised=10 * (101 - 104),
        trades=[
            trade("sell", 10, ("12:01", "12:03"), (101, 104), pnl=10 * -3, mae=10 * (101 - 107), mfe=10 * (101 - 98), bars=2)
        ],
    )


def test_flip_from_long_to_short_ends_one_trade_and_begins_the_next_at_its_price() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 101  99 100   # 10 long at 100
        12:02 110 112 107 109   # sells 25 at 110: closes 10, opens 15 short
        12:03 108 109 104 105   # covers 15 at 108
        """,
        {"12:01": order("buy", 10), "12:02": order("sell", 25), "12:03": [held, order("buy", 15)]},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:02", "sell", 25, 110), fill(3, "12:03", "buy", 15, 108)],
        cash=CAPITAL - 10 * 100 + 25 * 110 - 15 * 108,
        realised=10 * (110 - 100) + 15 * (110 - 108),
        trades=[
            trade("buy", 10, ("12:01", "12:02"), (100, 110), pnl=10 * 10, mae=10 * (99 - 100), mfe=10 * (110 - 100), bars=1),
            trade("sell", 15, ("12:02", "12:03"), (110, 108), pnl=15 * 2, mae=15 * (110 - 112), mfe=15 * (110 - 107), bars=1),
        ],
    )
    assert ledger.answers[2] == (-15, 110)


def test_flip_from_short_to_long_opens_what_is_left_at_the_fill_price() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100
        12:02 95
        12:03 97
        """,
        {"12:01": order("sell", 10), "12:02": order("buy", 30)},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 100), fill(2, "12:02", "buy", 30, 95)],
        cash=CAPITAL + 10 * 100 - 30 * 95,
        realised=10 * (100 - 95),
        unrealised=20 * (97 - 95),
        trades=[trade("sell", 10, ("12:01", "12:02"), (100, 95), pnl=10 * 5, mae=0, mfe=10 * 5, bars=1)],
    )
    assert ledger.positions == {"AAA": (20, 95)}


TWO_ENTRIES = """
    12:00 100
    12:01 100   # buys 10
    12:02 110   # buys 10
    12:03 120   # sells 15
    12:04 130
"""
TWO_ENTRIES_PLAN = {"12:01": order("buy", 10), "12:02": order("buy", 10), "12:03": order("sell", 15)}
TWO_ENTRIES_FILLS = [fill(1, "12:01", "buy", 10, 100), fill(2, "12:02", "buy", 10, 110), fill(3, "12:03", "sell", 15, 120)]


def test_average_lots_take_cost_off_in_proportion() -> None:
    ledger = play(TWO_ENTRIES, TWO_ENTRIES_PLAN, rules=AccountRules(lots=LotRule.AVERAGE))
    cost = 10 * 100 + 10 * 110
    expect(
        ledger,
        fills=TWO_ENTRIES_FILLS,
        cash=CAPITAL - cost + 15 * 120,
        realised=15 * 120 - cost * 15 / 20,
        unrealised=5 * 130 - cost * 5 / 20,
    )
    assert ledger.positions == {"AAA": (5, 105)}


def test_fifo_lots_take_the_oldest_off_first() -> None:
    ledger = play(TWO_ENTRIES, TWO_ENTRIES_PLAN, rules=AccountRules(lots=LotRule.FIFO))
    expect(
        ledger,
        fills=TWO_ENTRIES_FILLS,
        cash=CAPITAL - 10 * 100 - 10 * 110 + 15 * 120,
        realised=10 * (120 - 100) + 5 * (120 - 110),
        unrealised=5 * (130 - 110),
    )
    assert ledger.positions == {"AAA": (5, 110)}


def test_average_lots_that_do_not_divide_round_to_units_and_leave_nothing_when_flat() -> None:
    bought = 10_000_000_000 + 2 * 10_001_000_000  # 100.00 + 100.01 + 100.01 in units
    taken_off = round(Fraction(bought, 3))
    ledger = play(
        """
        12:00 100
        12:01 100      # 1 at 100.00
        12:02 100.01   # 2 at 100.01
        12:03 101      # sells 1
        12:04 101      # sells 2
        12:05 101
        """,
        {
            "12:01": order("buy", 1),
            "12:02": order("buy", 2),
            "12:03": order("sell", 1),
            "12:04": [lambda ctx: units(ctx.portfolio.realised_pnl), order("sell", 2)],
        },
    )
    assert ledger.answers[3] == 10_100_000_000 - taken_off
    entry = Fraction(bought, 3 * MONEY)
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 1, 100),
            fill(2, "12:02", "buy", 2, 100.01),
            fill(3, "12:03", "sell", 1, 101),
            fill(4, "12:04", "sell", 2, 101),
        ],
        cash=CAPITAL + 3 * 101 - 100 - 2 * 100.01,
        realised=3 * 101 - 100 - 2 * 100.01,
        trades=[
            trade("buy", 3, ("12:01", "12:04"), (float(entry), 101), pnl=303 - 300.02, mae=None, mfe=None, bars=3),
        ],
    )


def test_product_of_price_and_quantity_is_rounded_to_a_unit_once() -> None:
    coin = Instrument("AAA", tick=0.01, lot=1e-8)
    ledger = play(
        """
        12:00 43210.12
        12:01 43210.12
        12:02 43999.99
        """,
        {"12:01": order("buy", 0.12345678)},
        instruments=(coin,),
    )
    cost = round(Fraction("0.12345678") * Fraction("43210.12") * MONEY)
    value = round(Fraction("0.12345678") * Fraction("43999.99") * MONEY)
    assert ledger.fills == [fill(1, "12:01", "buy", 0.12345678, 43210.12)]
    assert ledger.cash == units(CAPITAL) - cost
    assert ledger.unrealised == value - cost
    assert ledger.final_equity == units(CAPITAL) - cost + value


def test_two_symbols_have_positions_of_their_own_and_one_cash() -> None:
    ledger = play(
        """
        AAA 11:59 100
        BBB 11:59 50
        AAA 12:00 100
        BBB 12:00 50
        AAA 12:01 100 102 100 101
        BBB 12:01 51 52 50 51
        AAA 12:02 103
        BBB 12:02 49
        """,
        {"12:01": [order("buy", 10), order("sell", 20, "BBB")]},
        instruments=(AAA, BBB),
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:01", "sell", 20, 51, symbol="BBB")],
        cash=CAPITAL - 10 * 100 + 20 * 51,
        unrealised=10 * (103 - 100) + 20 * (51 - 49),
    )
    assert ledger.positions == {"AAA": (10, 100), "BBB": (-20, 51)}
    assert ledger.equity["12:02"] == units(CAPITAL + 10 * (101 - 100))


def test_absent_minute_fills_nothing_and_the_next_one_does() -> None:
    ledger = play(
        """
        AAA 12:00 100
        BBB 12:00 50
        BBB 12:01 50    # no AAA in these two minutes
        BBB 12:02 50
        AAA 12:03 105
        BBB 12:03 50
        """,
        {"12:01": order("buy", 10), "12:02": working, "12:03": working},
        instruments=(AAA, BBB),
    )
    expect(ledger, fills=[fill(1, "12:03", "buy", 10, 105)], cash=CAPITAL - 10 * 105)
    assert ledger.answers == [1, [(1, 10, 0)], [(1, 10, 0)]]


# Volume 16 x 0.25 = 4 lots, then 8 x 0.25 = 2, then more than enough.
THIN = """
    12:00 100 101  99 100 1000
    12:01 100 100 100 100 16
    12:02 101 101 101 101 8
    12:03 102 102 102 102 1000
"""


def test_participation_spreads_an_order_over_bars_and_the_minimum_commission_is_paid_once() -> None:
    ledger = play(
        THIN,
        {"12:01": order("buy", 10)},
        rules=AccountRules(participation=0.25, commission=Commission(per_share=0.2, minimum=1.0)),
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 4, 100, fee=max(1.0, 4 * 0.2)),  # 1.00
            fill(1, "12:02", "buy", 2, 101, fee=max(1.0, 6 * 0.2) - 1.0),  # 1.20 in all
            fill(1, "12:03", "buy", 4, 102, fee=max(1.0, 10 * 0.2) - 1.2),  # 2.00 in all
        ],
        cash=CAPITAL - 4 * 100 - 2 * 101 - 4 * 102 - 2.0,
        unrealised=10 * 102 - (4 * 100 + 2 * 101 + 4 * 102),
        fees=2.0,
    )


def test_participation_is_shared_by_the_orders_of_a_symbol_the_oldest_first() -> None:
    ledger = play(THIN, {"12:01": [order("buy", 3), order("buy", 4)]}, rules=AccountRules(participation=0.25))
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 3, 100),
            fill(2, "12:01", "buy", 1, 100),
            fill(2, "12:02", "buy", 2, 101),
            fill(2, "12:03", "buy", 1, 102),
        ],
        cash=CAPITAL - 4 * 100 - 2 * 101 - 102,
        unrealised=7 * 102 - 4 * 100 - 2 * 101 - 102,
    )


def test_participation_counts_whole_lots_of_a_bars_volume_and_a_bar_without_volume_fills_nothing() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01 100 100 100 100 0
        12:02 101 101 101 101 1199   # 0.5 x 1199 / 100 = 5.995
        12:03 102 102 102 102 199    # 0.995
        12:04 103 103 103 103 9999
        """,
        {"12:01": order("buy", 600)},
        rules=AccountRules(participation=0.5),
        instruments=(Instrument("AAA", tick=0.01, lot=100),),
    )
    expect(
        ledger,
        fills=[fill(1, "12:02", "buy", 500, 101), fill(1, "12:04", "buy", 100, 103)],
        cash=CAPITAL - 500 * 101 - 100 * 103,
        unrealised=500 * (103 - 101),
    )


AT_END = """
    12:00 100
    12:01 100
    12:02 104
"""
AT_END_PLAN: Plan = {"12:01": [order("buy", 10), order("sell", 10, kind="limit", limit_price=120)], "12:02": working}


def test_open_position_at_the_end_stays_and_is_valued_at_its_last_close() -> None:
    ledger = play(AT_END, AT_END_PLAN, rules=AccountRules(at_end=AtEnd.MARK))
    expect(ledger, fills=[fill(1, "12:01", "buy", 10, 100)], cash=CAPITAL - 10 * 100, unrealised=10 * (104 - 100))
    assert ledger.positions == {"AAA": (10, 100)}


def test_open_position_at_the_end_is_closed_at_its_last_close_with_costs_where_asked() -> None:
    rules = AccountRules(at_end=AtEnd.CLOSE, commission=Commission(taker_bps=10), slippage=Slippage(ticks=2))
    ledger = play(AT_END, AT_END_PLAN, rules=rules)
    entry, exit_ = 100 + 0.02, 104 - 0.02
    entry_fee, exit_fee = 10 * entry * 0.001, 10 * exit_ * 0.001
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 10, entry, fee=entry_fee),
            fill(ANY, "12:03", "sell", 10, exit_, fee=exit_fee),
        ],
        cash=CAPITAL - 10 * entry + 10 * exit_ - entry_fee - exit_fee,
        realised=10 * (exit_ - entry),
        fees=entry_fee + exit_fee,
        trades=[
            trade(
                *("buy", 10, ("12:01", "12:03"), (entry, exit_)),
                pnl=10 * (exit_ - entry),
                fees=entry_fee + exit_fee,
                mae=10 * (100 - entry),
                mfe=None,
                bars=None,
            )
        ],
    )
    assert ledger.ended[2] == ("cancelled", 0)
    assert ledger.positions == {}


def test_short_position_at_the_end_is_bought_back_at_its_last_close_where_asked() -> None:
    ledger = play(AT_END, {"12:01": order("sell", 10)}, rules=AccountRules(at_end=AtEnd.CLOSE))
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 100), fill(ANY, "12:03", "buy", 10, 104)],
        cash=CAPITAL + 10 * (100 - 104),
        realised=10 * (100 - 104),
        trades=[trade("sell", 10, ("12:01", "12:03"), (100, 104), pnl=-40, mae=-40, mfe=0, bars=None)],
    )


CLOSES = """
    12:00 100 101  99 100.5
    12:01 105 105 105 105
    12:02 107 108 106 107.5
    12:03 109
"""


def test_fill_at_the_close_fills_market_orders_at_the_close_that_they_were_decided_on() -> None:
    ledger = play(CLOSES, {"12:01": order("buy", 10), "12:02": order("sell", 10)}, rules=AccountRules(fill=FillRule.CLOSE))
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100.5), fill(2, "12:02", "sell", 10, 105)],
        cash=CAPITAL + 10 * (105 - 100.5),
        realised=10 * (105 - 100.5),
        trades=[trade("buy", 10, ("12:01", "12:02"), (100.5, 105), pnl=45, mae=0, mfe=45, bars=None)],
    )
    # Told before the next step's events.
    assert [line.split(" ", 1)[1] for line in ledger.seen] == [
        "bars AAA 1m",
        "fill 1",
        "bars AAA 1m",
        "fill 2",
        "bars AAA 1m",
        "bars AAA 1m",
    ]


def test_fill_at_the_close_leaves_other_kinds_as_always() -> None:
    ledger = play(
        CLOSES,
        {"12:01": [order("buy", 10, kind="limit", limit_price=102), order("buy", 10, kind="stop", stop_price=101)]},
        rules=AccountRules(fill=FillRule.CLOSE),
    )
    expect(
        ledger,
        fills=[fill(2, "12:01", "buy", 10, 105)],
        cash=CAPITAL - 10 * 105,
        unrealised=10 * (109 - 105),
    )


def test_fill_at_the_close_of_a_symbol_without_a_bar_then_waits_for_its_next_close() -> None:
    ledger = play(
        """
        AAA 12:00 100
        BBB 12:00 50
        AAA 12:01 100
        AAA 12:02 100
        BBB 12:02 52 55 51 54
        AAA 12:03 100
        BBB 12:03 57
        """,
        {"12:02": order("buy", 10, "BBB")},
        rules=AccountRules(fill=FillRule.CLOSE),
        instruments=(AAA, BBB),
    )
    expect(
        ledger,
        fills=[fill(1, "12:03", "buy", 10, 54, symbol="BBB")],
        cash=CAPITAL - 10 * 54,
        unrealised=10 * (57 - 54),
    )


def test_amended_quantity_is_what_fills() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100
        12:02 100 100 97 99
        """,
        {"12:01": order("buy", 10, kind="limit", limit_price=98), "12:02": [amend(1, quantity=6), working]},
    )
    expect(ledger, fills=[fill(1, "12:03", "buy", 6, 98, maker=True)], cash=CAPITAL - 6 * 98, unrealised=6 * (99 - 98))
    assert ledger.answers[:2] == [1, True]
    assert ledger.ended == {1: ("filled", 6)}
