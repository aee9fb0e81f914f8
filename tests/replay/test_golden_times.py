"""Ledgers by hand: how long an order works, from when on, and what a strategy is told when."""

from __future__ import annotations

from typing import Any

import pytest

from stratd.execution.rules import AccountRules
from stratd.model import Instrument
from tests.support.ledgers import (
    AAA,
    BBB,
    CAPITAL,
    Act,
    Actor,
    amend,
    cancel,
    clock,
    expect,
    fill,
    order,
    play,
    trade,
    units,
    working,
)

NEW_YORK = Instrument("AAA", tick=0.01, calendar="XNYS")
NEW_YORK_EXTENDED = Instrument("AAA", tick=0.01, calendar="XNYS", extended_hours=True)


def limit(side: str, price: float, symbol: str = "AAA", **terms: Any) -> Act:
    """For ten."""
    return order(side, 10, symbol, kind="limit", limit_price=price, **terms)


# DAY orders. Christmas eve of 2018 closed at 13:00 in New York, 18:00 UTC; the 25th was closed; the 26th was 14:30 to 21:00.

CHRISTMAS = """
    2018-12-24T17:57 100
    2018-12-24T17:58 100
    2018-12-24T17:59 100
    2018-12-26T14:30  95
    2018-12-26T14:31  95
"""


def test_day_order_on_a_half_day_ends_at_its_early_close() -> None:
    ledger = play(CHRISTMAS, {"2018-12-24T17:58": limit("buy", 98, time_in_force="day")}, instruments=(NEW_YORK,))
    expect(ledger, fills=[], cash=CAPITAL)
    assert ledger.ended == {1: ("expired", 0)}
    assert ledger.ended_at == {1: "2018-12-24T18:00"}


def test_order_good_till_cancelled_outlives_the_half_day() -> None:
    ledger = play(CHRISTMAS, {"2018-12-24T17:58": limit("buy", 98)}, instruments=(NEW_YORK,))
    expect(ledger, fills=[fill(1, "2018-12-26T14:30", "buy", 10, 95)], cash=CAPITAL - 10 * 95)


def test_day_order_decided_at_the_close_itself_works_in_the_next_session() -> None:
    ledger = play(
        CHRISTMAS,
        {"2018-12-24T18:00": [limit("buy", 98, time_in_force="day"), limit("buy", 90, time_in_force="day")]},
        instruments=(NEW_YORK,),
    )
    expect(ledger, fills=[fill(1, "2018-12-26T14:30", "buy", 10, 95)], cash=CAPITAL - 10 * 95)
    assert ledger.ended == {1: ("filled", 10)}, "the other works until 21:00, and the bars end before"


def test_day_order_decided_at_the_close_ends_with_the_next_session() -> None:
    ledger = play(
        CHRISTMAS + "2018-12-26T20:59 95\n2018-12-27T14:30 80",
        {"2018-12-24T18:00": limit("buy", 90, time_in_force="day")},
        instruments=(NEW_YORK,),
    )
    expect(ledger, fills=[], cash=CAPITAL)
    assert ledger.ended == {1: ("expired", 0)}
    assert ledger.ended_at == {1: "2018-12-26T21:00"}


def test_day_order_of_a_symbol_with_extended_hours_works_to_the_end_of_them() -> None:
    text = "2018-12-24T17:58 100\n2018-12-24T17:59 100\n2018-12-24T18:30 97 98 96 97\n2018-12-26T09:00 80"
    acts = {"2018-12-24T17:59": [limit("buy", 98, time_in_force="day"), limit("buy", 90, time_in_force="day")]}
    ledger = play(text, acts, instruments=(NEW_YORK_EXTENDED,))
    expect(
        ledger,
        fills=[fill(1, "2018-12-24T18:30", "buy", 10, 97)],
        cash=CAPITAL - 10 * 97,
        unrealised=10 * (80 - 97),
    )
    assert ledger.ended == {1: ("filled", 10), 2: ("expired", 0)}
    assert ledger.ended_at[2] == "2018-12-24T22:00"  # four hours after the close


# The eve of independence day 2019 closed at 13:00 in New York, 17:00 UTC; the 4th was closed.

INDEPENDENCE = """
    AAA 2019-07-02T19:59 100
    BBB 2019-07-03T12:00  50
    AAA 2019-07-03T13:30 100
    AAA 2019-07-03T16:59 100 101 97 99
    AAA 2019-07-05T13:30  90
    BBB 2019-07-05T13:30  50
"""


def test_day_order_decided_outside_a_session_works_in_the_next_one_and_ends_with_it() -> None:
    ledger = play(
        INDEPENDENCE,
        {"2019-07-03T12:01": [limit("buy", 98, time_in_force="day"), limit("buy", 95, time_in_force="day")]},
        instruments=(NEW_YORK, BBB),
    )
    expect(
        ledger,
        fills=[fill(1, "2019-07-03T17:00", "buy", 10, 98, maker=True)],
        cash=CAPITAL - 10 * 98,
        unrealised=10 * (90 - 98),
    )
    assert ledger.ended == {1: ("filled", 10), 2: ("expired", 0)}
    assert ledger.ended_at[2] == "2019-07-03T17:00"


MIDNIGHT = """
    23:57 100
    23:58 100
    23:59 100
    2024-01-03T00:00 95
    2024-01-03T00:01 95
    2024-01-03T23:59 95
    2024-01-04T00:00 80
"""


def test_day_order_of_a_symbol_without_calendar_ends_with_the_utc_day() -> None:
    ledger = play(MIDNIGHT, {"23:58": [limit("buy", 98, time_in_force="day"), limit("buy", 97)]})
    expect(
        ledger,
        fills=[fill(2, "2024-01-03T00:00", "buy", 10, 95)],
        cash=CAPITAL - 10 * 95,
        unrealised=10 * (80 - 95),
    )
    assert ledger.ended == {1: ("expired", 0), 2: ("filled", 10)}
    assert ledger.ended_at[1] == "2024-01-03T00:00"


def test_day_order_decided_at_midnight_belongs_to_the_day_that_begins() -> None:
    ledger = play(MIDNIGHT, {"2024-01-03T00:00": [limit("buy", 98, time_in_force="day"), limit("buy", 90, time_in_force="day")]})
    expect(
        ledger,
        fills=[fill(1, "2024-01-03T00:00", "buy", 10, 95)],
        cash=CAPITAL - 10 * 95,
        unrealised=10 * (80 - 95),
    )
    assert ledger.ended == {1: ("filled", 10), 2: ("expired", 0)}
    assert ledger.ended_at[2] == "2024-01-04T00:00"


# Latency, in event time.


@pytest.mark.parametrize(
    ("seconds", "time", "price"),
    [(0, "12:01", 101), (0.5, "12:02", 102), (60, "12:02", 102), (60.5, "12:03", 103), (90, "12:03", 103)],
)
def test_order_with_latency_fills_in_the_first_bar_that_opens_after_it(seconds: float, time: str, price: float) -> None:
    ledger = play(
        "12:00 100\n12:01 101\n12:02 102\n12:03 103\n12:04 104",
        {"12:01": order("buy", 10)},
        rules=AccountRules(latency_seconds=seconds),
    )
    expect(ledger, fills=[fill(1, time, "buy", 10, price)], cash=CAPITAL - 10 * price, unrealised=10 * (104 - price))


@pytest.mark.parametrize(("seconds", "fills"), [(0, []), (60, [fill(1, "12:04", "buy", 10, 98, maker=True)])])
def test_cancellation_with_latency_leaves_the_order_as_it_was_until_then(seconds: float, fills: list[Any]) -> None:
    ledger = play(
        """
        12:00 100
        12:01 100
        12:02 100
        12:03 100 100  97 99   # the cancellation of 12:03 takes effect at 12:03 or, with latency, at 12:04
        12:04  99  99  97 99
        """,
        {"12:01": limit("buy", 98), "12:03": cancel(1)},
        rules=AccountRules(latency_seconds=seconds),
    )
    filled = 10 * len(fills)
    expect(ledger, fills=fills, cash=CAPITAL - filled * 98, unrealised=filled * (99 - 98))
    assert ledger.answers == [1, True]
    assert ledger.ended == {1: ("filled", 10) if fills else ("cancelled", 0)}


def test_cancellation_with_latency_takes_effect_in_the_end() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 100\n12:03 100\n12:04 99 99 97 99\n12:05 90",
        {"12:01": limit("buy", 98), "12:03": cancel(1), "12:05": working},
        rules=AccountRules(latency_seconds=60),
    )
    expect(ledger, fills=[], cash=CAPITAL)
    assert ledger.ended == {1: ("cancelled", 0)}
    assert ledger.answers[-1] == []


def test_cancellation_at_the_same_event_or_of_what_is_over() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 102\n12:03 103",
        {"12:01": [order("buy", 10), cancel(1), order("buy", 5)], "12:03": cancel(2)},
    )
    expect(ledger, fills=[fill(2, "12:01", "buy", 5, 100)], cash=CAPITAL - 5 * 100, unrealised=5 * (103 - 100))
    assert ledger.answers == [1, True, 2, False]
    assert ledger.ended == {1: ("cancelled", 0), 2: ("filled", 5)}


AMENDED = """
    12:00 100
    12:01 100
    12:02 100   100 99.5 100
    12:03  99.5 100 98.5 99.5   # through 99
    12:04  99.5 100 98.5 99.5   # and again
    12:05  99.5
"""


@pytest.mark.parametrize(("seconds", "time"), [(0, "12:04"), (60, "12:05")])
def test_amended_price_takes_effect_with_the_latency(seconds: float, time: str) -> None:
    ledger = play(
        AMENDED,
        {"12:01": limit("buy", 98), "12:03": amend(1, limit_price=99)},
        rules=AccountRules(latency_seconds=seconds),
    )
    expect(ledger, fills=[fill(1, time, "buy", 10, 99, maker=True)], cash=CAPITAL - 10 * 99, unrealised=10 * (99.5 - 99))
    assert ledger.answers == [1, True]


@pytest.mark.parametrize(("seconds", "fills"), [(0, []), (60, [fill(1, "12:04", "buy", 10, 99, maker=True)])])
def test_order_amended_away_still_fills_at_its_old_price_within_the_latency(seconds: float, fills: list[Any]) -> None:
    ledger = play(
        AMENDED,
        {"12:01": limit("buy", 99), "12:03": amend(1, limit_price=97)},
        rules=AccountRules(latency_seconds=seconds),
    )
    filled = 10 * len(fills)
    expect(ledger, fills=fills, cash=CAPITAL - filled * 99, unrealised=filled * (99.5 - 99))


def test_stop_that_is_moved_up_fills_at_its_new_price() -> None:
    ledger = play(
        "12:00 100\n12:01 100\n12:02 104\n12:03 104 104 101 102\n12:04 102",
        {"12:01": [order("buy", 10), order("sell", 10, kind="stop", stop_price=95)], "12:03": amend(2, stop_price=102)},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:04", "sell", 10, 102)],
        cash=CAPITAL + 10 * 2,
        realised=10 * (102 - 100),
        trades=[trade("buy", 10, ("12:01", "12:04"), (100, 102), pnl=20, mae=0, mfe=10 * (104 - 100), bars=2)],
    )


# What is told when.


def test_order_given_in_on_fill_is_decided_at_the_event_that_told_of_it() -> None:
    ledger = play(
        """
        12:00 100
        12:01 100 101 90 99    # in at 100; told at 12:02, so that this bar's 90 is over
        12:02  99 100 94 98    # the stop of 95
        12:03  98
        """,
        {"12:01": order("buy", 10), "fill 1": order("sell", 10, kind="stop", stop_price=95)},
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 100), fill(2, "12:03", "sell", 10, 95)],
        cash=CAPITAL + 10 * (95 - 100),
        realised=10 * (95 - 100),
        trades=[trade("buy", 10, ("12:01", "12:03"), (100, 95), pnl=-50, mae=10 * (90 - 100), mfe=10, bars=1)],
    )
    assert ledger.seen == [
        "12:01 bars AAA 1m",
        "12:02 fill 1",
        "12:02 bars AAA 1m",
        "12:03 fill 2",
        "12:03 bars AAA 1m",
        "12:04 bars AAA 1m",
    ]
    assert clock(ledger.orders[2].created_time) == "12:02"


def test_fills_of_a_step_come_by_symbol_and_then_as_they_happened() -> None:
    ledger = play(
        """
        AAA 11:59 100
        BBB 11:59 50
        AAA 12:00 100
        BBB 12:00 50
        AAA 12:01 100 106 94 103
        BBB 12:01 51
        AAA 12:02 103
        BBB 12:02 51
        """,
        {
            "12:01": [
                limit("buy", 95),
                order("buy", 10, "BBB"),
                order("buy", 10, kind="stop", stop_price=105),
                order("buy", 10),
            ]
        },
        instruments=(AAA, BBB),
    )
    assert [(one.order, one.symbol, one.price) for one in ledger.fills] == [
        (4, "AAA", 100),
        (3, "AAA", 105),
        (1, "AAA", 95),
        (2, "BBB", 51),
    ]
    assert ledger.seen[4:10] == [
        "12:02 fill 4",
        "12:02 fill 3",
        "12:02 fill 1",
        "12:02 fill 2",
        "12:02 bars AAA 1m",
        "12:02 bars BBB 1m",
    ]
    assert ledger.cash == units(CAPITAL - 10 * (100 + 105 + 95 + 51))


def test_fill_of_a_symbol_that_is_only_watched_is_told_before_the_strategys_event_of_the_step() -> None:
    ledger = play(
        """
        AAA 11:59 100
        BBB 11:59 50
        AAA 12:00 100
        BBB 12:00 50
        AAA 12:01 101
        BBB 12:01 51
        AAA 12:02 102
        BBB 12:02 52
        """,
        {"12:01": order("buy", 10, "BBB")},
        streams=[("AAA", "1m")],
        watched=[("BBB", "1m")],
        instruments=(AAA, BBB),
    )
    expect(
        ledger,
        fills=[fill(1, "12:01", "buy", 10, 51, symbol="BBB")],
        cash=CAPITAL - 10 * 51,
        unrealised=10 * (52 - 51),
    )
    assert ledger.seen[1:] == ["12:01 bars AAA 1m", "12:02 fill 1", "12:02 bars AAA 1m", "12:03 bars AAA 1m"]


def test_order_for_a_symbol_that_is_neither_subscribed_nor_watched_is_refused() -> None:
    ledger = play(
        "AAA 12:00 100\nBBB 12:00 50\nAAA 12:01 100\nBBB 12:01 50",
        {"12:01": order("buy", 10, "BBB")},
        streams=[("AAA", "1m")],
        instruments=(AAA, BBB),
    )
    expect(ledger, fills=[], cash=CAPITAL, refused=["symbol"])
    assert not ledger.answers[0]


class AtSessions(Actor):
    """Acts at the opens and closes of New York."""

    def on_session_open(self, calendar: str, open_time: int, close_time: int) -> None:
        if clock(self.ctx.now) != "14:30":
            self.answers += [order("buy", 10)(self.ctx), limit("buy", 90, time_in_force="day")(self.ctx)]

    def on_session_close(self, calendar: str, open_time: int, close_time: int) -> None:
        self.answers.append(limit("sell", 120, time_in_force="day")(self.ctx))


def test_order_given_when_a_session_opens_fills_at_the_open_of_its_first_bar_and_one_at_its_close_in_the_next() -> None:
    ledger = play(
        """
        2024-01-02T14:30 100
        2024-01-02T20:59 100
        2024-01-03T14:30 101
        2024-01-03T14:31 119 121 119 120
        2024-01-03T20:59 102
        2024-01-04T14:30  80 130  80  90
        """,
        AtSessions,
        instruments=(NEW_YORK,),
    )
    # Of the close of the 2nd: sells at 120 on the 3rd. Of the open of the 3rd: buys at 101; and its limit is over at 21:00.
    assert ledger.answers[0] == 1
    assert ledger.fills[:2] == [
        fill(2, "2024-01-03T14:30", "buy", 10, 101),
        fill(1, "2024-01-03T14:32", "sell", 10, 120, maker=True),
    ]
    assert ledger.ended[3] == ("expired", 0)
    assert ledger.ended_at[3] == "2024-01-03T21:00"


class AtSlices(Actor):
    """Acts when all bars of a step have come."""

    def on_slice(self, interval: object, close_time: int, missing: tuple[str, ...]) -> None:
        if clock(close_time) == "12:02":
            self.answers += [order("buy", 10)(self.ctx), order("sell", 10, "BBB")(self.ctx)]


def test_orders_given_at_a_slice_fill_at_the_next_opens() -> None:
    ledger = play(
        "".join(f"AAA 12:0{minute} {100 + minute}\nBBB 12:0{minute} {50 + minute}\n" for minute in range(4)),
        AtSlices,
        instruments=(AAA, BBB),
    )
    expect(
        ledger,
        fills=[fill(1, "12:02", "buy", 10, 102), fill(2, "12:02", "sell", 10, 52, symbol="BBB")],
        cash=CAPITAL - 10 * 102 + 10 * 52,
        unrealised=10 * (103 - 102) + 10 * (52 - 53),
    )


class Table(Actor):
    """The strategy of ADR 0001's table: buys AAA at market on its first bar."""

    plan = {"12:01": order("buy", 10)}

    def on_slice(self, interval: object, close_time: int, missing: tuple[str, ...]) -> None:
        self.seen.append(f"{clock(close_time)} slice {interval} missing={','.join(missing)}")

    def on_session_open(self, calendar: str, open_time: int, close_time: int) -> None:
        self.seen.append(f"{clock(self.ctx.now)} open {calendar}")


def test_table_of_adr_0001_with_its_fill() -> None:
    ledger = play(
        """
        AAA 12:00  100 103  99 101
        AAA 12:01  101 105 100 104
        AAA 12:02  104 106 102 103
        AAA 12:03  103 104  98  99
        BBB 12:00   50
        BBB 12:03   52
        BBB 12:02   60   # late: behind 12:03 in its file
        """,
        Table,
        streams=[("*", "1m"), ("*", "2m"), ("*", "4m")],
        instruments=(AAA, BBB),
        rejected=1,
    )
    assert ledger.seen == [
        "00:00 open 24/7",
        "12:01 bars AAA 1m",
        "12:01 bars BBB 1m",
        "12:01 slice 1m missing=",
        "12:02 fill 1",
        "12:02 bars AAA 1m",
        "12:02 slice 1m missing=BBB",
        "12:02 bars AAA 2m",
        "12:02 bars BBB 2m",
        "12:02 slice 2m missing=",
        "12:03 bars AAA 1m",
        "12:03 slice 1m missing=BBB",
        "12:04 bars AAA 1m",
        "12:04 bars BBB 1m",
        "12:04 slice 1m missing=",
        "12:04 bars AAA 2m",
        "12:04 bars BBB 2m",
        "12:04 slice 2m missing=",
        "12:04 bars AAA 4m",
        "12:04 bars BBB 4m",
        "12:04 slice 4m missing=",
    ]
    expect(ledger, fills=[fill(1, "12:01", "buy", 10, 101)], cash=CAPITAL - 10 * 101, unrealised=10 * (99 - 101))
