"""Ledgers by hand: stops, stop-limits and trailing stops, in their bar, over gaps and between a strategy's own bars."""

from __future__ import annotations

from typing import Any

import pytest

from stratd.execution.rules import AccountRules, Slippage
from tests.support.ledgers import CAPITAL, Act, Ledger, expect, fill, order, play, trade, units


def stop(side: str, quantity: float, price: float, **terms: Any) -> Act:
    return order(side, quantity, kind="stop", stop_price=price, **terms)


def test_gap_through_the_stop_of_a_long_is_taken_in_full_at_the_open() -> None:
    ledger = play(
        """
        12:00 100 101  99 100
        12:01 100 102  99 101   # in at 100
        12:02 101 103  98 102
        12:03  90  97  88  91   # opens below 95
        12:04  91
        """,
        {"12:01": [order("buy", 10), stop("sell", 10, 95)]},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:03", "sell", 10, 90)],
        cash=CAPITAL + 10 * (90 - 100),
        realised=10 * (90 - 100),
        trades=[
            trade("buy", 10, ("12:01", "12:03"), (100, 90), pnl=-100, mae=10 * (90 - 100), mfe=10 * (103 - 100), bars=2),
        ],
    )


def test_gap_through_the_stop_of_a_short_is_taken_in_full_at_the_open() -> None:
    ledger = play(
        """
        12:00 100 101  99 100
        12:01 100 101  98  99   # in at 100
        12:02  99 102  97 100
        12:03 111 112 103 104   # opens above 105
        12:04 104
        """,
        {"12:01": [order("sell", 10), stop("buy", 10, 105)]},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 100), fill(2, "12:03", "buy", 10, 111)],
        cash=CAPITAL + 10 * (100 - 111),
        realised=10 * (100 - 111),
        trades=[
            trade("sell", 10, ("12:01", "12:03"), (100, 111), pnl=-110, mae=10 * (100 - 111), mfe=10 * (100 - 97), bars=2),
        ],
    )


def test_stop_that_a_bar_touches_fills_at_its_price_at_the_bars_close_time() -> None:
    ledger = play(
        """
        12:00 100 101  99 100
        12:01 100 102  99 101
        12:02 101 104  95 103   # touches 95
        12:03 103
        """,
        {"12:01": [order("buy", 10), stop("sell", 10, 95)]},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:03", "sell", 10, 95)],
        cash=CAPITAL + 10 * (95 - 100),
        realised=10 * (95 - 100),
        trades=[trade("buy", 10, ("12:01", "12:03"), (100, 95), pnl=-50, mae=-50, mfe=10 * (102 - 100), bars=1)],
    )


def test_stop_that_the_open_just_reaches_fills_at_the_open() -> None:
    ledger = play("12:00 100\n12:01 105 107 104 106\n12:02 106", {"12:01": stop("buy", 10, 105)})
    expect(ledger, fills=[fill(1, "12:01", "buy", 10, 105)], cash=CAPITAL - 10 * 105, unrealised=10 * (106 - 105))


def test_entry_in_mid_bar_counts_only_that_bars_close_for_its_extremes() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 109  90 104   # in at 105; 90 and 109 may have come before
        12:02 104 107 103 106
        12:03 106
        """,
        {"12:01": stop("buy", 10, 105), "12:03": order("sell", 10)},
    )
    expect(
        ledger,
        fills=[fill(1, "12:02", "buy", 10, 105), fill(2, "12:03", "sell", 10, 106)],
        cash=CAPITAL + 10 * (106 - 105),
        realised=10 * (106 - 105),
        trades=[
            trade("buy", 10, ("12:02", "12:03"), (105, 106), pnl=10, mae=10 * (103 - 105), mfe=10 * (107 - 105), bars=2),
        ],
    )


def test_stop_of_a_15m_strategy_fills_between_its_bars_and_is_told_before_the_next() -> None:
    minutes = "".join(f"12:{minute:02} 100\n" for minute in range(15))
    ledger = play(
        minutes
        + """
        12:15 101 102 100 101   # in at 101
        12:16 101 101  99 100
        12:17 100 100  97  98   # out at 98.50
        12:18  98
        12:19 120
        12:29 110
        12:30 110
        """,
        {"12:15": [order("buy", 10), stop("sell", 10, 98.5)], "fill 1": order("buy", 1)},
        streams=[("AAA", "15m")],
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:15", "buy", 10, 101),
            fill(2, "12:18", "sell", 10, 98.5),
            fill(3, "12:30", "buy", 1, 110),  # decided in on_fill, which came at 12:30
        ],
        cash=CAPITAL + 10 * (98.5 - 101) - 110,
        realised=10 * (98.5 - 101),
        trades=[trade("buy", 10, ("12:15", "12:18"), (101, 98.5), pnl=-25, mae=-25, mfe=10 * (102 - 101), bars=2)],
    )
    assert ledger.seen[:4] == ["12:15 bars AAA 15m", "12:30 fill 1", "12:30 fill 2", "12:30 bars AAA 15m"]
    later = dict.fromkeys(("12:30", "12:45"), units(CAPITAL - 25))
    assert ledger.equity == {"12:15": units(CAPITAL), **later}, "only steps with a bar of its own"


def test_order_of_a_15m_strategy_comes_after_the_stop_that_filled_between_its_bars() -> None:
    minutes = "".join(f"12:{minute:02} 100\n" for minute in range(16))
    ledger = play(
        minutes + "12:17 100 100 94 95\n12:29 96\n12:30 97\n12:31 99",
        {"12:15": [order("buy", 10), stop("sell", 10, 95)], "12:30": order("sell", 10)},
        streams=[("AAA", "15m")],
    )
    expect(
        ledger,
        fills=[
            fill(1, "12:15", "buy", 10, 100),
            fill(2, "12:18", "sell", 10, 95),
            fill(3, "12:30", "sell", 10, 97),
        ],
        cash=CAPITAL + 10 * (95 - 100) + 10 * 97,
        realised=10 * (95 - 100),
        unrealised=10 * (97 - 99),
        trades=[trade("buy", 10, ("12:15", "12:18"), (100, 95), pnl=-50, mae=-50, mfe=0, bars=1)],
    )
    assert ledger.positions == {"AAA": (-10, 97)}


# Stop-limits: one bar after the order, and what came of it.


@pytest.mark.parametrize(
    ("limit", "bar", "expected"),
    [
        pytest.param(106, "100 107  99 106", ("12:02", 105, False), id="reached in the bar, the stop meets the limit"),
        pytest.param(106, "105 107 104 106", ("12:01", 105, False), id="reached by the open, which meets the limit"),
        pytest.param(110, "108 109 107 108", ("12:01", 108, False), id="gap, the open meets the limit"),
        pytest.param(106, "108 109 107 108", None, id="gap beyond the limit, and the bar does not come back"),
        pytest.param(106, "108 109 105 107", ("12:02", 106, True), id="gap beyond the limit, rests, and the bar comes back"),
        pytest.param(104, "100 106  99 103", ("12:02", 104, False), id="limit behind the stop, the close is beyond the limit"),
        pytest.param(104, "100 106  99 106", None, id="limit behind the stop, the low may have come before"),
        pytest.param(104, "100 104  99 103", None, id="stop not reached"),
    ],
)
def test_stop_limit_in_its_first_bar_does_what_is_certain(
    limit: float, bar: str, expected: tuple[str, float, bool] | None
) -> None:
    ledger = play(f"12:00 100\n12:01 {bar}", {"12:01": order("buy", 10, kind="stop_limit", stop_price=105, limit_price=limit)})
    close = float(bar.split()[3])
    if expected is None:
        expect(ledger, fills=[], cash=CAPITAL)
        return
    time, price, maker = expected
    expect(
        ledger,
        fills=[fill(1, time, "buy", 10, price, maker=maker)],
        cash=CAPITAL - 10 * price,
        unrealised=10 * (close - price),
    )


def test_stop_limit_that_was_triggered_rests_as_a_limit_and_fills_in_a_later_bar() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 106  99 106   # triggered at 105; whether 104 came after is not certain
        12:02 106 107 104 105   # touches 104, does not trade through it
        12:03 105 105 103 104   # through
        """,
        {"12:01": order("buy", 10, kind="stop_limit", stop_price=105, limit_price=104)},
    )
    expect(ledger, fills=[fill(1, "12:04", "buy", 10, 104, maker=True)], cash=CAPITAL - 10 * 104)


def test_stop_limit_to_sell_over_a_gap_rests_and_fills_at_a_later_open_that_betters_it() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100                # 10 long
        12:02  90  93  89  92   # below the stop of 95 and the limit of 94: triggered, rests
        12:03  97  98  96  97   # opens above the limit
        """,
        {"12:01": [order("buy", 10), order("sell", 10, kind="stop_limit", stop_price=95, limit_price=94)]},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:03", "sell", 10, 97)],
        cash=CAPITAL + 10 * (97 - 100),
        realised=10 * (97 - 100),
        trades=[
            trade("buy", 10, ("12:01", "12:03"), (100, 97), pnl=-30, mae=10 * (89 - 100), mfe=0, bars=2),
        ],
    )


def test_slippage_of_a_stop_limit_never_goes_beyond_its_limit() -> None:
    rules = AccountRules(slippage=Slippage(ticks=30))
    for limit, price in ((105.5, 105 + 0.30), (105.2, 105.2)):
        ledger = play(
            "12:00 100\n12:01 100 107 99 106",
            {"12:01": order("buy", 10, kind="stop_limit", stop_price=105, limit_price=limit)},
            rules=rules,
        )
        expect(ledger, fills=[fill(1, "12:02", "buy", 10, price)], cash=CAPITAL - 10 * price, unrealised=10 * (106 - price))


# Trailing stops.


def trailing(side: str, quantity: float, **terms: Any) -> Act:
    return order(side, quantity, kind="trailing_stop", **terms)


def long_with_trail(bars: str, **terms: Any) -> Ledger:
    return play(f"12:00 100\n{bars}", {"12:01": [order("buy", 10), trailing("sell", 10, **terms)]})


def out_at(time: str, price: float, ledger: Ledger) -> None:
    """Ten bought at 100 at 12:01 were sold."""
    assert ledger.fills == [fill(1, "12:01", "buy", 10, 100), fill(2, time, "sell", 10, price)]
    assert ledger.realised == units(10 * (price - 100))
    assert ledger.cash == units(CAPITAL + 10 * (price - 100))


def test_trailing_stop_goes_up_with_the_highs_and_never_down() -> None:
    ledger = long_with_trail(
        """
        12:01 100   103    99   102     # reference 100, stop 98; then 103, stop 101, the close is above
        12:02 102.5 105   101.5 104     # stop 101 holds; then 105, stop 103, the close is above
        12:03 104   104.5 103.5 104     # holds; no new high
        12:04 104   104   102   103     # reaches 103
        12:05 110
        """,
        trail_amount=2,
    )
    out_at("12:05", 103, ledger)
    [only] = ledger.trades
    assert only.mae == units(10 * (99 - 100))
    assert only.mfe == units(10 * (105 - 100))
    assert only.bars == 3


def test_trailing_stop_that_turns_in_one_bar_fills_at_the_new_stop() -> None:
    # 110 was the high, so the stop came to 108, and the close of 105 came after.
    out_at("12:03", 108, long_with_trail("12:01 100 104 99 104\n12:02 104 110 103.5 105\n12:03 105", trail_amount=2))


def test_trailing_stop_in_its_entry_bar_fills_at_the_new_stop_if_the_close_has_reached_it() -> None:
    out_at("12:02", 103, long_with_trail("12:01 100 105 99 103\n12:02 103", trail_amount=2))


def test_trailing_stop_takes_in_an_open_that_gaps_up_before_it_is_checked() -> None:
    # Open 108: the stop is 106, and 105 reaches it.
    out_at("12:03", 106, long_with_trail("12:01 100 101 99 100\n12:02 108 109 105 109\n12:03 105", trail_amount=2))


def test_trailing_stop_that_the_open_gaps_through_fills_at_the_open() -> None:
    out_at("12:02", 91, long_with_trail("12:01 100 103 99 102\n12:02 91 95 90 94\n12:03 94", trail_amount=2))


def test_trailing_stop_by_a_fraction_has_its_level_on_the_grid_rounded_away() -> None:
    # 103.33 x 0.98 = 101.2634: a stop to sell is rounded down.
    out_at(
        "12:03",
        101.26,
        long_with_trail("12:01 100 103.33 99.5 103\n12:02 103 103 101.26 102\n12:03 102", trail_fraction=0.02),
    )


def test_trailing_stop_by_a_fraction_is_not_reached_above_its_rounded_level() -> None:
    ledger = long_with_trail("12:01 100 103.33 99.5 103\n12:02 103 103 101.27 102", trail_fraction=0.02)
    expect(ledger, fills=[fill(1, "12:01", "buy", 10, 100)], cash=CAPITAL - 1000, unrealised=10 * (102 - 100))


def test_trailing_stop_of_a_short_follows_the_lows() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 101  96  97   # reference 100, stop 102; then 96, stop 98, the close is below
        12:02  97  97.5 94 95   # holds; then 94, stop 96, the close is below
        12:03  95  96.5 95 96   # reaches 96
        12:04  90
        """,
        {"12:01": [order("sell", 10), trailing("buy", 10, trail_amount=2)]},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "sell", 10, 100), fill(2, "12:04", "buy", 10, 96)],
        cash=CAPITAL + 10 * (100 - 96),
        realised=10 * (100 - 96),
        trades=[
            trade("sell", 10, ("12:01", "12:04"), (100, 96), pnl=40, mae=10 * (100 - 101), mfe=10 * (100 - 94), bars=2),
        ],
    )
