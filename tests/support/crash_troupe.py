"""Strategies for sessions that are killed and go on: what each decides depends on all that it was told, and on what it kept."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from stratd import SMA, Strategy, StrategyParams
from stratd.execution.records import Charged, OrderEnded, RiskChanged
from stratd.model import Fill, Side, Trade


class Keeper(Strategy[StrategyParams]):
    """Keeps a turn, a count of fills, and a chain over everything that it saw; all three decide what it does next."""

    def setup(self, ctx: Any) -> None:
        self.turn = 0
        self.told = 0
        self.chain = ""
        self.last: dict[str, float] = {}

    def save_state(self) -> dict[str, Any]:
        return {"turn": self.turn, "told": self.told, "chain": self.chain, "last": dict(self.last)}

    def restore_state(self, state: dict[str, Any]) -> None:
        self.turn, self.told, self.chain = state["turn"], state["told"], state["chain"]
        self.last = dict(state["last"])

    def note(self, *seen: object) -> int:
        """Put something into the chain. Returns a number that depends on all that ever was."""
        self.chain = blake2b(f"{self.chain}{seen}".encode(), digest_size=8).hexdigest()
        return int(self.chain, 16)

    def look(self, symbol: str, *seen: object) -> int:
        """Note what the account says."""
        ctx = self.ctx
        mine = [(one.id, str(one.state), one.filled, one.stop_price) for one in ctx.orders(symbol)]
        return self.note(*seen, ctx.now, ctx.position(symbol), mine, ctx.portfolio.equity, str(ctx.trading_state))

    def on_fill(self, fill: Fill) -> None:
        self.told += 1
        self.last[fill.symbol] = fill.price
        self.note(fill, self.ctx.now)


class Bracketeer(Keeper):
    """1m: brackets, trailing stops, limits, DAY orders, pairs, cancels and amendments; exits of its own in on_fill."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.symbols = ctx.subscribe(["AAA", "BBB"], "1m")
        self.averages = {symbol: ctx.indicator(SMA(9), symbol, "1m", private=True) for symbol in self.symbols}

    def on_bars(self, symbol: str, interval: object) -> None:
        ctx, self.turn = self.ctx, self.turn + 1
        price = float(ctx.bars(symbol, "1m").close[-1])
        luck = self.note(symbol, price, self.averages[symbol].value)
        if luck % 5:
            return
        luck = self.look(symbol, price)
        holds = ctx.position(symbol).quantity
        side, other = ("sell", "buy") if holds > 0 else ("buy", "sell")
        up = 1 if side == "buy" else -1
        away = max(0.02, price * 0.001 * (1 + luck % 3))
        quantity = 5.0 + luck % 11
        mine = ctx.orders(symbol)
        free = [one for one in mine if one.parent == 0 and one.kind == "limit"]
        match self.turn // 2 % 9:
            case 0 | 1:
                done = ctx.order(symbol, side, quantity, stop_loss_price=price - up * away, take_profit_price=price + up * away)
            case 2:
                at = price - up * away
                done = ctx.order(symbol, side, quantity, kind="limit", limit_price=at, stop_loss_price=at - up * away)
            case 3:
                done = ctx.order(symbol, other, quantity, kind="trailing_stop", trail_amount=away, reduce_only=luck % 2 == 0)
            case 4:
                at = price - up * 3 * away
                done = ctx.order(symbol, side, quantity, kind="limit", limit_price=at, time_in_force="day")
            case 5:
                pair = f"pair{self.turn}"
                for one, way in (("buy", 1), ("sell", -1)):
                    done = ctx.order(symbol, one, 3, kind="limit", limit_price=price - way * away, oco=pair)
            case 6:
                done = ctx.cancel(mine[luck % len(mine)].id) if mine else False
            case 7:
                done = ctx.amend(free[-1].id, quantity=free[-1].quantity + 2) if free else False
            case _:
                done = ctx.order(symbol, side, quantity, kind="stop", stop_price=price + up * away)
        self.note(str(done))

    def on_fill(self, fill: Fill) -> None:
        super().on_fill(fill)
        if self.told % 5 == 0:
            self.note(str(self.ctx.order(fill.symbol, "sell" if fill.side == "buy" else "buy", 2)))


class Fives(Keeper):
    """Reads 5m only: its stops and limits fill between its bars. Acts on slices and sessions too."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        ctx.subscribe(["BBB", "CCC"], "5m")
        self.average = ctx.indicator(SMA(4), "CCC", "5m")
        self.opened = 0

    def save_state(self) -> dict[str, Any]:
        return super().save_state() | {"opened": self.opened}

    def restore_state(self, state: dict[str, Any]) -> None:
        super().restore_state(state)
        self.opened = state["opened"]

    def on_bars(self, symbol: str, interval: object) -> None:
        ctx, self.turn = self.ctx, self.turn + 1
        price = float(ctx.bars(symbol, "5m").close[-1])
        if self.note(symbol, price, self.average.value) % 2:
            return
        luck = self.look(symbol)
        holds = ctx.position(symbol).quantity
        side, up = ("sell", -1) if holds > 0 else ("buy", 1)
        away = price * 0.0015
        if self.turn % 3:
            done = ctx.order(
                symbol, side, 4 + luck % 5, stop_loss_price=price - up * away, take_profit_price=price + up * 2 * away
            )
        else:
            at = price - up * away
            done = ctx.order(symbol, side, 6, kind="limit", limit_price=at, time_in_force="day")
        self.note(str(done))

    def on_slice(self, interval: object, close_time: int, missing: tuple[str, ...]) -> None:
        if self.note(close_time, missing) % 9 == 0:
            self.note([self.ctx.cancel(one.id) for one in self.ctx.orders("BBB") if one.parent == 0])

    def on_session_open(self, calendar: str, open_time: int, close_time: int) -> None:
        self.opened += 1
        self.note(calendar, open_time)

    def on_session_close(self, calendar: str, open_time: int, close_time: int) -> None:
        self.note(calendar, close_time)
        if self.ctx.position("BBB").quantity:
            self.ctx.order("BBB", "sell" if self.ctx.position("BBB").quantity > 0 else "buy", 50, reduce_only=True)


class Listener(Keeper):
    """Fills at closes, and hears of everything: of the orders that it cancels itself, too."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        ctx.subscribe("AAA", "5m")
        ctx.watch("BBB", "1m")
        for kind in (OrderEnded, Trade, RiskChanged, Charged):
            ctx.on(kind, self.hear)

    def hear(self, event: object) -> None:
        self.told += 1
        self.note(event, self.ctx.now)

    def on_bars(self, symbol: str, interval: object) -> None:
        ctx, self.turn = self.ctx, self.turn + 1
        luck = self.look("AAA", float(ctx.bars("BBB", "1m").close[-1]))
        price = float(ctx.bars(symbol, "5m").close[-1])
        side, up = ("sell", -1) if ctx.position(symbol).quantity > 0 else ("buy", 1)
        done = [ctx.cancel(one.id) for one in ctx.orders(symbol) if one.parent == 0 and luck % 3 == 0]
        if luck % 2:
            self.note(done, str(ctx.order(symbol, side, 3 + luck % 9, stop_loss_price=price * (1 - up * 0.002))))
        else:
            self.note(
                done, str(ctx.order(symbol, side, 4, kind="limit", limit_price=price * (1 - up * 0.001), time_in_force="day"))
            )


class Plain(Strategy[StrategyParams]):
    """Overrides on_bars alone: hears of no fill, keeps nothing, and asks its account what it holds."""

    def setup(self, ctx: Any) -> None:
        ctx.subscribe(["AAA", "CCC"], "1m")

    def on_bars(self, symbol: str, interval: object) -> None:
        ctx = self.ctx
        close = ctx.bars(symbol, "1m").close
        if len(close) < 4 or not close[-1] > close[-2] > close[-3]:
            return
        holds, mine = ctx.position(symbol).quantity, ctx.orders(symbol)
        if len(mine) > 3:
            ctx.cancel(mine[0].id)
        elif holds == 0 and close[-3] > close[-4]:
            ctx.signal(symbol, Side.BUY, stop_price=float(close[-1]) * 0.998)
        elif holds > 0 and close[-3] < close[-4] and int(close[-1] * 100) % 3 == 0:
            ctx.signal(symbol, Side.FLAT)
        elif holds > 0 and len(mine) < 3:
            ctx.order(symbol, "sell", 1, kind="trailing_stop", trail_fraction=0.001, reduce_only=True)


class Forgetful(Keeper):
    """Cannot take back what it kept."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        ctx.subscribe("AAA", "1m")

    def on_bars(self, symbol: str, interval: object) -> None:
        if not self.ctx.orders(symbol):
            self.ctx.order(symbol, "buy", 1, kind="limit", limit_price=1.0)

    def restore_state(self, state: dict[str, Any]) -> None:
        raise KeyError("chain")


class Breaking(Keeper):
    """Trades, and raises at its 30th bar."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        ctx.subscribe("AAA", "1m")

    def on_bars(self, symbol: str, interval: object) -> None:
        self.turn += 1
        if self.turn == 30:
            raise RuntimeError("at its 30th bar")
        if self.turn % 7 == 1:
            self.ctx.order(symbol, "buy", 5)
        if self.turn == 25:
            self.ctx.order(symbol, "buy", 5, kind="limit", limit_price=1.0)


class Late(Keeper):
    """Trades once, at its 80th bar."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        ctx.subscribe("BBB", "1m")

    def on_bars(self, symbol: str, interval: object) -> None:
        self.turn += 1
        if self.turn == 80:
            self.ctx.order(symbol, "buy", 5)
