"""Moving average cross: long while the fast average of closes is above the slow one, flat otherwise.

Hypothesis: prices trend; a fast average above a slow one says that buyers have been in control for some time, and will be
for some more.

Risks: in a market that goes nowhere the averages cross back and forth, and each round trip costs spread and fees. It is
late by design, on the way in and on the way out. Unless `stop_fraction` sets one it has no stop, and a gap is taken in full
with one too.

It assumes that its signals are followed: one that is refused, in or out, is not given again before the averages have crossed
back and anew. With a stop it also hears of fills: when the stop was hit it is out, even while the fast average is still above,
and waits for the next cross.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, model_validator

from stratd import SMA, Interval, Side, Strategy, StrategyContext, StrategyParams
from stratd.indicators import IndicatorHandle
from stratd.model import Fill


class SimpleMaCrossParams(StrategyParams):
    """Parameters of the moving average cross; periods in bars of `interval`."""

    fast_period: int = Field(10, ge=1, le=1000, json_schema_extra={"search": [5, 10, 20]}, description="bars of the fast average")
    slow_period: int = Field(
        20, ge=2, le=5000, json_schema_extra={"search": [20, 50, 100]}, description="bars of the slow average"
    )
    stop_fraction: float = Field(
        0.0,
        ge=0,
        lt=1,
        json_schema_extra={"search": [0.0, 0.01, 0.03]},
        description="how far the stop lies below the close bought at, as a fraction of it; 0: no stop",
    )

    @model_validator(mode="after")
    def _slow_exceeds_fast(self) -> SimpleMaCrossParams:
        if self.slow_period <= self.fast_period:
            raise ValueError(f"slow_period ({self.slow_period}) must be above fast_period ({self.fast_period})")
        return self


class _Pair:
    """The two averages of one symbol, and what was made of them."""

    __slots__ = ("before", "fast", "long", "slow")

    def __init__(self, fast: IndicatorHandle, slow: IndicatorHandle) -> None:
        self.fast = fast
        self.slow = slow
        self.before = float("nan")  # difference at the bar before; every comparison with NaN is false
        self.long = False


class SimpleMaCross(Strategy[SimpleMaCrossParams]):
    """Buys when the fast average goes from at or below the slow one to above it; leaves in the opposite case."""

    Params: ClassVar[type[StrategyParams]] = SimpleMaCrossParams

    def setup(self, ctx: StrategyContext) -> None:
        params = self.params
        self._pairs = {
            symbol: _Pair(
                ctx.indicator(SMA(params.fast_period), symbol, params.interval, name="fast"),
                ctx.indicator(SMA(params.slow_period), symbol, params.interval, name="slow"),
            )
            for symbol in ctx.subscribe(params.symbols, params.interval, lookback=params.slow_period)
        }
        if params.stop_fraction > 0:
            # Only then: an account whose strategy need not hear of fills costs less.
            ctx.on(Fill, self._heed)

    def on_bars(self, symbol: str, interval: Interval) -> None:
        # Kept bare: nothing is allocated here unless a signal is emitted.
        pair = self._pairs[symbol]
        now = pair.fast.value - pair.slow.value
        before = pair.before
        pair.before = now
        if now > 0.0:
            if before <= 0.0 and not pair.long:
                pair.long = True
                reason = "the fast average went above the slow one"
                self.ctx.signal(symbol, Side.BUY, reason=reason, stop_price=self._stop_price(symbol, interval))
        elif now < 0.0 and before >= 0.0 and pair.long:
            pair.long = False
            self.ctx.signal(symbol, Side.FLAT, reason="the fast average went below the slow one")

    def _stop_price(self, symbol: str, interval: Interval) -> float | None:
        fraction = self.params.stop_fraction
        return float(self.ctx.bars(symbol, interval).close[-1]) * (1 - fraction) if fraction > 0 else None

    def _heed(self, fill: Fill) -> None:
        # What is held counts; while nothing is held and an order still works, it is as it was.
        held = self.ctx.position(fill.symbol).quantity != 0
        if held or not self.ctx.orders(fill.symbol):
            self._pairs[fill.symbol].long = held

    def save_state(self) -> dict[str, Any]:
        return {
            symbol: {"before": None if pair.before != pair.before else pair.before, "long": pair.long}
            for symbol, pair in self._pairs.items()
        }

    def restore_state(self, state: dict[str, Any]) -> None:
        for symbol, pair in self._pairs.items():
            if symbol in state:
                before = state[symbol]["before"]
                pair.before = float("nan") if before is None else before
                pair.long = state[symbol]["long"]
