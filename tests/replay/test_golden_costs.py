"""Ledgers by hand: slippage, commission, borrow and financing."""

from __future__ import annotations

from typing import Any

import pytest

from stratd.execution.rules import AccountRules, Commission, Slippage
from stratd.model import Instrument
from tests.support.ledgers import AAA, BBB, CAPITAL, Act, Ledger, charge, expect, fill, order, play, trade, units


def limit(side: str, quantity: float, price: float, **terms: Any) -> Act:
    return order(side, quantity, kind="limit", limit_price=price, **terms)


# Slippage.


def test_parts_of_slippage_add_up_and_stops_slip_as_market_orders_do() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 104 98 102
        12:02 101 102 96  97   # the stop of 99
        12:03  97
        """,
        {"12:01": order("buy", 10), "12:02": order("sell", 10, kind="stop", stop_price=99)},
        rules=AccountRules(slippage=Slippage(bps=5, ticks=2, range_fraction=0.1)),
    )
    entry = 100 + 100 * 0.0005 + 2 * 0.01 + 0.1 * (104 - 98)
    assert entry == pytest.approx(100.67)
    exit_ = 98.33  # 99 - 0.0495 - 0.02 - 0.60 = 98.3305, down to the grid
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100.67), fill(2, "12:03", "sell", 10, exit_)],
        cash=CAPITAL + 10 * (exit_ - 100.67),
        realised=10 * (exit_ - 100.67),
        trades=[
            trade(
                *("buy", 10, ("12:01", "12:03"), (100.67, exit_)),
                pnl=10 * (exit_ - 100.67),
                mae=10 * (98 - 100.67),
                mfe=10 * (104 - 100.67),
                bars=1,
            )
        ],
    )


@pytest.mark.parametrize("bar", ["98 99 97 98", "100 101 97 98"], ids=["at the open", "resting"])
def test_limits_do_not_slip(bar: str) -> None:
    rules = AccountRules(slippage=Slippage(bps=5, ticks=2, range_fraction=0.1, random_bps=50))
    ledger = play(f"12:00 100\n12:01 {bar}", {"12:01": limit("buy", 10, 98)}, rules=rules)
    assert [one.price for one in ledger.fills] == [98]


def test_trailing_stops_slip() -> None:
    ledger = play(
        "12:00 100\n12:01 100 101 99 100\n12:02 100 100 98 99\n12:03 99",
        {"12:01": order("sell", 10, kind="trailing_stop", trail_amount=2)},
        rules=AccountRules(slippage=Slippage(ticks=3)),
    )
    # Reference 101, stop 99, and 3 ticks.
    expect(ledger, fills=[fill(1, "12:03", "sell", 10, 98.97)], cash=CAPITAL + 989.7, unrealised=10 * (98.97 - 99))


def drawn(seed: int) -> Ledger:
    """Ten orders at 100, each with a random part of at most ten hundredths of a percent; the last one fills in two parts."""
    flat = "".join(f"12:{minute:02} 100 100 100 100 {4 if minute == 10 else 4000}\n" for minute in range(13))
    acts = {f"12:{minute:02}": order("buy" if minute % 2 else "sell", 2) for minute in range(1, 11)}
    rules = AccountRules(slippage=Slippage(random_bps=10), seed=seed, participation=0.25)
    return play(flat, acts, rules=rules, instruments=(Instrument("AAA"),))


def test_random_slippage_is_drawn_by_order_and_fill_and_repeats() -> None:
    ledger = drawn(seed=7)
    assert len(ledger.fills) == 11
    slips = [(one.price - 100) * (1 if one.side == "buy" else -1) for one in ledger.fills]
    assert all(0 <= slip < 100 * 0.001 for slip in slips)
    assert len(set(slips)) == 11, "every order and every part of one has its own"
    assert max(slips) - min(slips) > 0.01
    assert drawn(seed=7) == ledger
    assert [one.price for one in drawn(seed=8).fills] != [one.price for one in ledger.fills]


# Commission.


def test_takers_and_makers_pay_their_own_rate_of_the_notional() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100              # taken at 100
        12:02 100 106 100 104  # made at 105
        """,
        {"12:01": [order("buy", 10), limit("sell", 10, 105)]},
        rules=AccountRules(commission=Commission(taker_bps=10, maker_bps=2)),
    )
    paid, made = 10 * 100 * 0.0010, 10 * 105 * 0.0002
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100, fee=paid), fill(2, "12:03", "sell", 10, 105, fee=made, maker=True)],
        cash=CAPITAL + 10 * 5 - paid - made,
        realised=10 * 5,
        fees=paid + made,
        trades=[trade("buy", 10, ("12:01", "12:03"), (100, 105), pnl=50, fees=paid + made, mae=0, mfe=50, bars=1)],
    )


def test_all_parts_of_commission_add_up_and_an_order_pays_its_own_once() -> None:
    ledger = play(
        """
        12:00 100 100 100 100 1000
        12:01 100 100 100 100 16     # 4
        12:02 102 102 102 102 1000   # 6
        """,
        {"12:01": order("buy", 10)},
        rules=AccountRules(
            participation=0.25, commission=Commission(per_share=0.01, minimum=0.05, taker_bps=5, maker_bps=1, per_order=0.3)
        ),
    )
    first = 0.3 + 0.05 + 4 * 100 * 0.0005  # the minimum is more than 4 x 0.01
    second = (10 * 0.01 - 0.05) + 6 * 102 * 0.0005
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 4, 100, fee=first), fill(1, "12:02", "buy", 6, 102, fee=second)],
        cash=CAPITAL - 4 * 100 - 6 * 102 - first - second,
        unrealised=4 * (102 - 100),
        fees=first + second,
    )


@pytest.mark.parametrize(("quantity", "fee_units"), [(1, 2), (3, 8), (5, 12), (7, 18)])
def test_commission_is_rounded_to_units_halves_to_even(quantity: int, fee_units: int) -> None:
    # 2.5 units for each: 2.5, 7.5, 12.5, 17.5.
    ledger = play(
        "12:00 100\n12:01 100",
        {"12:01": order("buy", quantity)},
        rules=AccountRules(commission=Commission(per_share=2.5e-8)),
    )
    assert [one.fee for one in ledger.fills] == [fee_units]
    assert ledger.fees == fee_units
    assert ledger.cash == units(CAPITAL) - units(quantity * 100) - fee_units


def test_minimum_commission_counts_for_each_order_of_its_own() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 101\n12:03 102",
        {"12:01": order("buy", 2), "12:02": order("buy", 30), "12:03": order("sell", 32)},
        rules=AccountRules(commission=Commission(per_share=0.1, minimum=1)),
    )
    fees = [1.0, 30 * 0.1, 32 * 0.1]
    pnl = 32 * 102 - 2 * 100 - 30 * 101
    expect(
        ledger,
        fills=[
            fill(1, "12:01", "buy", 2, 100, fee=fees[0]),
            fill(2, "12:02", "buy", 30, 101, fee=fees[1]),
            fill(3, "12:03", "sell", 32, 102, fee=fees[2]),
        ],
        cash=CAPITAL + pnl - sum(fees),
        realised=pnl,
        fees=sum(fees),
        trades=[
            trade(
                *("buy", 32, ("12:01", "12:03"), ((2 * 100 + 30 * 101) / 32, 102)),
                pnl=pnl,
                fees=sum(fees),
                mae=0,
                mfe=pnl,
                bars=2,
            )
        ],
    )


# Borrow and financing. 0.0365 a year is 0.0001 a day; 0.073 is 0.0002.

NEW_YORK = Instrument("AAA", tick=0.01, calendar="XNYS")
WEEKEND = """
    2024-01-03T20:59 100
    2024-01-05T20:57 100
    2024-01-05T20:58 100   # 10 short at 100
    2024-01-05T20:59 102
    2024-01-08T14:30 101   # a Monday: three days of 10 x 102
    2024-01-09T14:30 103   # one day of 10 x 101
"""


def test_short_over_a_weekend_pays_borrow_for_three_days_of_its_last_close() -> None:
    ledger = play(
        WEEKEND,
        {"2024-01-05T20:58": order("sell", 10)},
        rules=AccountRules(borrow_rate=0.0365),
        instruments=(NEW_YORK,),
    )
    weekend, monday = 10 * 102 * 0.0001 * 3, 10 * 101 * 0.0001
    expect(
        ledger,
        fills=[fill(1, "2024-01-05T20:58", "sell", 10, 100)],
        cash=CAPITAL + 10 * 100 - weekend - monday,
        unrealised=10 * (100 - 103),
        financing=weekend + monday,
    )
    assert ledger.charges == [
        charge("2024-01-08", "AAA", weekend, "borrow", 3),
        charge("2024-01-09", "AAA", monday, "borrow", 1),
    ]
    assert ledger.equity["2024-01-08T14:31"] == units(CAPITAL + 10 * (100 - 101) - weekend)


def test_short_covered_at_the_first_open_after_the_weekend_has_paid_for_it() -> None:
    ledger = play(
        WEEKEND,
        {"2024-01-05T20:58": order("sell", 10), "2024-01-05T21:00": order("buy", 10)},
        rules=AccountRules(borrow_rate=0.0365),
        instruments=(NEW_YORK,),
    )
    weekend = 10 * 102 * 0.0001 * 3
    assert ledger.charges == [charge("2024-01-08", "AAA", weekend, "borrow", 3)]
    assert ledger.cash == units(CAPITAL + 10 * 100 - 10 * 101 - weekend)
    assert ledger.realised == units(10 * (100 - 101))
    assert ledger.financing == units(weekend)


def test_short_opened_again_after_days_without_pays_nothing_for_them() -> None:
    ledger = play(
        """
        2024-01-02T12:00 100
        2024-01-02T12:01 100   # 10 short
        2024-01-02T12:02 100   # covered
        2024-01-05T12:00 100
        2024-01-05T12:01 100   # 10 short again
        2024-01-06T12:00 100   # one day
        """,
        {"12:01": order("sell", 10), "12:02": order("buy", 10), "2024-01-05T12:01": order("sell", 10)},
        rules=AccountRules(borrow_rate=0.0365),
    )
    assert ledger.charges == [charge("2024-01-06", "AAA", 10 * 100 * 0.0001, "borrow", 1)]
    assert ledger.cash == units(CAPITAL + 1000 - 0.1)
    assert ledger.financing == units(0.1)


def test_short_within_a_day_pays_nothing_and_a_long_never_pays_borrow() -> None:
    text = "12:00 100\n12:01 100\n12:02 101\n2024-01-03T12:00 102"
    rules = AccountRules(borrow_rate=0.0365, financing_rate=0.073)
    short = play(text, {"12:01": order("sell", 10), "12:02": order("buy", 10)}, rules=rules)
    assert (short.charges, short.financing, short.cash) == ([], 0, units(CAPITAL - 10))
    long = play(text, {"12:01": order("buy", 10)}, rules=rules)
    assert (long.charges, long.financing, long.cash) == ([], 0, units(CAPITAL - 1000))


def test_each_short_position_pays_for_itself_at_the_first_bar_of_the_day() -> None:
    ledger = play(
        """
        AAA 11:59 100
        BBB 11:59 50
        AAA 12:00 100
        BBB 12:00 50
        AAA 12:01 100
        BBB 12:01 50
        AAA 12:02 104
        BBB 12:02 52
        BBB 2024-01-03T00:10 53
        AAA 2024-01-03T07:00 105
        """,
        {"12:01": [order("sell", 10), order("sell", 100, "BBB")]},
        rules=AccountRules(borrow_rate=0.0365),
        instruments=(AAA, BBB),
    )
    first, second = 10 * 104 * 0.0001, 100 * 52 * 0.0001
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 100), fill(2, "12:01", "sell", 100, 50, symbol="BBB")],
        cash=CAPITAL + 10 * 100 + 100 * 50 - first - second,
        unrealised=10 * (100 - 105) + 100 * (50 - 53),
        financing=first + second,
    )
    assert sorted(ledger.charges) == [
        charge("2024-01-03", "AAA", first, "borrow", 1),
        charge("2024-01-03", "BBB", second, "borrow", 1),
    ]


def test_negative_cash_pays_financing_for_each_day() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100               # 1,500 at 100, with 100,000
        2024-01-03T00:00 100    # a day of 50,000
        2024-01-03T12:00 100
        2024-01-05T00:30 100    # two days of 50,010
        """,
        {"12:01": order("buy", 1500)},
        rules=AccountRules(leverage=2, financing_rate=0.073),
    )
    first = 50_000 * 0.0002
    second = (50_000 + first) * 0.0002 * 2
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 1500, 100)],
        cash=CAPITAL - 150_000 - first - second,
        financing=first + second,
    )
    assert ledger.charges == [
        charge("2024-01-03", "", first, "financing", 1),
        charge("2024-01-05", "", second, "financing", 2),
    ]


def test_borrow_is_rounded_to_a_unit() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 33.33\n2024-01-03T12:00 33.33",
        {"12:01": order("sell", 1)},
        rules=AccountRules(borrow_rate=0.01),
    )
    paid = 33.33 * 0.01 / 365  # 0.00091315068...
    assert ledger.charges == [charge("2024-01-03", "AAA", paid, "borrow", 1)]
    assert ledger.financing == 91315
    assert ledger.cash == units(CAPITAL + 100) - 91315
