"""One session with every kind of order, cost and limit: the same ledger for every window and block, and money that adds up."""

from __future__ import annotations

import functools
from collections import Counter
from typing import Any

import numpy as np
import pytest

from stratd.execution.rules import AccountRules, AtEnd, Commission, LotRule, Slippage
from stratd.model import MINUTE_NS, Fill, Instrument
from stratd.risk.limits import Policy, RiskLimits
from stratd.testing.bars import BarRow
from tests.support.ledgers import Actor, Ledger, ns, play, units
from tests.support.row_feed import merged

WINDOWS, BLOCKS = (1, 2, 64, 4096), (1, 3, 4096)
INSTRUMENTS = (
    Instrument("AAA", tick=0.01, min_notional=50),
    Instrument("BBB", tick=0.05, lot=0.1),
    Instrument("CCC", tick=0.01, calendar="XNYS"),
)
RULES = AccountRules(
    latency_seconds=20,
    participation=0.2,
    lots=LotRule.FIFO,
    at_end=AtEnd.CLOSE,
    leverage=1.5,
    borrow_rate=0.02,
    financing_rate=0.05,
    seed=3,
    slippage=Slippage(bps=1, ticks=1, range_fraction=0.02, random_bps=3),
    commission=Commission(per_share=0.005, minimum=0.5, taker_bps=1, maker_bps=0.5, per_order=0.1),
)
LIMITS = RiskLimits(
    max_orders_per_minute=3,
    price_band_fraction=0.2,
    drawdown_fraction=0.02,
    drawdown_policy=Policy.REDUCE,
    daily_loss_fraction=0.06,
)
# A Friday evening to a Monday noon: CCC has no bars in between.
SPANS = (("2024-01-05T20:20", 90), ("2024-01-06T23:40", 60), ("2024-01-08T14:20", 70))


@functools.cache
def rows() -> tuple[BarRow, ...]:
    """A walk for each symbol, with absent minutes and thin ones."""
    made: list[list[BarRow]] = []
    for number, (one, base) in enumerate(zip(INSTRUMENTS, (100.0, 20.0, 50.0), strict=True)):
        random = np.random.default_rng(number)
        tick = one.tick
        assert tick is not None
        price = round(base / tick)
        own = []
        for start, minutes in SPANS:
            for minute in range(minutes):
                t = ns(start) + minute * MINUTE_NS
                if one.calendar == "XNYS" and not (ns(start[:10] + "T14:30") <= t < ns(start[:10] + "T21:00")):
                    continue
                if random.random() < 0.1:
                    continue
                open_ = price + int(random.integers(-8, 9))
                close = open_ + int(random.integers(-25, 26))
                high = max(open_, close) + int(random.integers(0, 12))
                low = min(open_, close) - int(random.integers(0, 12))
                price = close
                o, h, low_, c = (round(ticks * tick, 6) for ticks in (open_, high, low, close))
                own.append(BarRow(one.symbol, t, o, h, low_, c, float(random.integers(0, 400))))
        made.append(own)
    return tuple(merged(made, [one.symbol for one in INSTRUMENTS]))


class Everything(Actor):
    """Gives every kind of order in turn, some in on_fill; cancels and amends. What it does depends on all that it was told."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.turn = 0
        self.told = 0

    def on_bars(self, symbol: str, interval: object) -> None:
        super().on_bars(symbol, interval)
        ctx, self.turn = self.ctx, self.turn + 1
        price = float(ctx.bars(symbol, "1m").close[-1])
        holds = ctx.position(symbol).quantity
        away = price * 0.003
        side = "sell" if holds > 0 else "buy"
        other = "buy" if side == "sell" else "sell"
        up = 1 if side == "buy" else -1
        quantity = 30.0 + self.turn % 7 + abs(holds) * (self.turn % 3)
        mine = ctx.orders(symbol)
        free = [one for one in mine if one.parent == 0]
        give = functools.partial(ctx.order, symbol)
        acts = (
            lambda: give(side, quantity),
            lambda: give(side, quantity, kind="limit", limit_price=price - up * away),
            lambda: give(other, quantity, kind="stop", stop_price=price - up * away),
            lambda: give(side, quantity, kind="stop_limit", stop_price=price + up * away, limit_price=price + up * 2 * away),
            lambda: give(other, quantity, kind="trailing_stop", trail_amount=away),
            lambda: give(side, quantity, stop_loss_price=price - up * away, take_profit_price=price + up * away),
            lambda: give(side, quantity, kind="limit", limit_price=price, stop_loss_price=price - up * away),
            lambda: give(side, quantity, time_in_force="ioc"),
            lambda: give(side, quantity, kind="limit", limit_price=price + up * away, time_in_force="fok"),
            lambda: give(side, quantity, kind="limit", limit_price=price * (1 - up * 0.1), time_in_force="day"),
            lambda: give(other, quantity, kind="limit", limit_price=price + up * away, reduce_only=True, time_in_force="day"),
            lambda: give(other, quantity, kind="trailing_stop", trail_fraction=0.002, reduce_only=True),
            lambda: [
                give(one, 20, kind="limit", limit_price=price - way * away, oco="pair") for one, way in (("buy", 1), ("sell", -1))
            ],
            lambda: ctx.cancel(mine[0].id) if mine else None,
            lambda: ctx.amend(free[-1].id, quantity=free[-1].quantity + 10) if free else None,
        )
        self.answers.append(str(acts[self.turn % len(acts)]()))
        self.answers.append((ctx.portfolio.equity, ctx.portfolio.cash, holds, len(mine), str(ctx.trading_state)))

    def on_fill(self, fill: Fill) -> None:
        super().on_fill(fill)
        self.told += 1
        self.answers.append(fill)
        if self.told % 9 == 0:
            self.answers.append(str(self.ctx.order(fill.symbol, fill.side, 11)))


STREAMS = {"minutes": [("*", "1m")], "buckets": [("AAA", "5m"), ("BBB", "15m"), ("CCC", "5m")]}


@functools.cache
def played(streams: str, window: int, block: int) -> Ledger:
    return play(
        rows(),
        Everything,
        rules=RULES,
        limits=LIMITS,
        streams=STREAMS[streams],
        watched=[("*", "1m")],
        instruments=INSTRUMENTS,
        sizes=[(window, block)],
    )


@pytest.mark.parametrize("streams", STREAMS)
@pytest.mark.parametrize("block", BLOCKS)
@pytest.mark.parametrize("window", WINDOWS)
def test_rich_session_is_the_same_for_every_window_and_block(window: int, block: int, streams: str) -> None:
    first, this = played(streams, WINDOWS[-1], BLOCKS[-1]), played(streams, window, block)
    assert this.hash == first.hash
    assert this.kept == first.kept
    assert this.answers == first.answers
    assert this == first


@pytest.mark.parametrize("streams", STREAMS)
def test_rich_session_has_some_of_everything(streams: str) -> None:
    ledger = played(streams, 4096, 4096)
    kinds = Counter(str(one.kind) for one in ledger.orders.values())
    assert set(kinds) == {"market", "limit", "stop", "stop_limit", "trailing_stop"}
    assert {state for state, _ in ledger.ended.values()} == {"filled", "cancelled", "expired"}
    assert any(one.maker for one in ledger.fills)
    assert len({one.order for one in ledger.fills}) < len(ledger.fills), "some fill in parts"
    assert len(ledger.fills) > 50
    assert len(ledger.trades) > 5
    assert ledger.charges
    assert ledger.refusals


@pytest.mark.parametrize("streams", STREAMS)
def test_rich_session_adds_up(streams: str) -> None:
    ledger = played(streams, 4096, 4096)
    assert ledger.final_equity == units(ledger.capital) + ledger.realised + ledger.unrealised - ledger.fees - ledger.financing
    # All positions were closed at the end: what was paid and got is what there is.
    flow = sum(units(one.quantity * one.price) * (1 if one.side == "sell" else -1) - one.fee for one in ledger.fills)
    assert ledger.positions == {}
    assert ledger.cash == ledger.final_equity == units(ledger.capital) + flow - ledger.financing
    assert ledger.fees == sum(one.fee for one in ledger.fills)
    assert ledger.financing == sum(one.amount for one in ledger.charges)
    assert ledger.realised == sum(one.pnl for one in ledger.trades)
    assert sum(one.fees for one in ledger.trades) == ledger.fees
    assert all(one.mae is not None and one.mfe is not None and one.mae <= 0 <= one.mfe for one in ledger.trades)
    assert all(one.bars is not None and one.bars >= 0 for one in ledger.trades)
