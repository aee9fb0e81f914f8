"""Cross-sectional momentum: hold the symbols that rose most, and change them from time to time.

Hypothesis: what did better than its peers goes on doing so for a while. (N. Jegadeesh and S. Titman, Returns to Buying
Winners and Selling Losers, Journal of Finance, 1993; they measured months. Over minutes to days the effect is weaker
and can turn round.)

Risks: winners fall together when the market turns (momentum crashes), and no stop limits that: only the next ranking does. The
symbols of one sector are one bet. Each change trades up to `top` symbols twice, so costs decide. Returns are counted in
bars: a symbol with gaps is measured over a longer time than the others.

Sizing is its own: each symbol is bought to the weight `invested` / `top`, and not traded again until it leaves. What leaves is sold
and what comes is bought at the same time, so until the sales are filled both count: with `invested` above half of the
account's leverage, a change of all symbols at once is refused in part. What is refused, in or out, is tried again at the next
ranking.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from stratd import Interval, Side, Strategy, StrategyContext, StrategyParams
from stratd.indicators import ROC
from stratd.model import RiskRefused


class CrossSectionalMomentumParams(StrategyParams):
    """Parameters of cross-sectional momentum; spans in bars of `interval`."""

    interval: Interval = Field(Interval("15m"), description="the interval that on_slice is called for")
    lookback: int = Field(
        20, ge=1, le=5000, json_schema_extra={"search": [10, 20, 60]}, description="bars that returns are measured over"
    )
    rebalance_bars: int = Field(
        20, ge=1, le=5000, json_schema_extra={"search": [5, 20, 60]}, description="slices from one ranking to the next"
    )
    top: int = Field(3, ge=1, le=500, json_schema_extra={"search": [1, 3, 5]}, description="how many symbols to hold")
    invested: float = Field(
        1.0,
        gt=0,
        le=4,
        json_schema_extra={"search": [0.5, 1.0]},
        description="sum of the weights of all that is held, over equity",
    )
    only_rising: bool = Field(True, description="hold only symbols whose return is above zero, cash for the rest")


class CrossSectionalMomentum(Strategy[CrossSectionalMomentumParams]):
    """Holds the `top` symbols by return over `lookback` bars, with equal weights, ranked every `rebalance_bars` slices."""

    Params: ClassVar[type[StrategyParams]] = CrossSectionalMomentumParams

    def setup(self, ctx: StrategyContext) -> None:
        params = self.params
        self._returns = {
            symbol: ctx.indicator(ROC(params.lookback), symbol, params.interval, name="return")
            for symbol in ctx.subscribe(params.symbols, params.interval)
        }
        if len(self._returns) <= params.top:
            raise ValueError(
                f"top ({params.top}) must be below the number of symbols ({len(self._returns)}): there is nothing to choose"
            )
        self._held: list[str] = []
        self._wait = 0  # slices until the next ranking

    def on_slice(self, interval: Interval, close_time: int, missing: tuple[str, ...]) -> None:
        if self._wait > 0:
            self._wait -= 1
            return
        # A symbol without a bar now would be ranked by an old price. If it is held it stays, and keeps its place.
        ranked = [(handle.value, symbol) for symbol, handle in self._returns.items() if symbol not in missing and handle.ready]
        if len(ranked) < 2:
            return
        self._wait = self.params.rebalance_bars - 1
        self._rebalance(ranked, missing)

    def _rebalance(self, ranked: list[tuple[float, str]], missing: tuple[str, ...]) -> None:
        params, ctx = self.params, self.ctx
        kept = [symbol for symbol in self._held if symbol in missing]
        ranked.sort(key=lambda pair: -pair[0])  # stable: ties keep the session's order
        rising = [(change, symbol) for change, symbol in ranked if change > 0 or not params.only_rising]
        chosen = {symbol: change for change, symbol in rising[: max(0, params.top - len(kept))]}
        for symbol in self._held:
            if symbol not in chosen and symbol not in kept:
                done = ctx.signal(symbol, Side.FLAT, reason=f"no longer among the first {params.top}")
                if isinstance(done, RiskRefused):
                    kept.append(symbol)
        for rank, (symbol, change) in enumerate(chosen.items(), start=1):
            if symbol not in self._held:
                reason = f"rank {rank} of {len(ranked)}: {change:+.2f} % in {params.lookback} bars"
                done = ctx.signal(symbol, Side.BUY, reason=reason, target_weight=params.invested / params.top)
                if isinstance(done, RiskRefused):
                    continue
            kept.append(symbol)
        self._held = kept

    def save_state(self) -> dict[str, Any]:
        return {"held": [*self._held], "wait": self._wait}

    def restore_state(self, state: dict[str, Any]) -> None:
        self._held = [symbol for symbol in state["held"] if symbol in self._returns]
        self._wait = state["wait"]
