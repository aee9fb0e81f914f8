"""Planning and execution: what is done, and how."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

from pydantic import Field

from stratd.model import Fill, Side
from stratd.model.dto import BaseContext, OpportunitySignal, ThreatSignal, TradePlan
from stratd.strategy.workers import Disposition, ExecutionWorker, PlanningWorker, WorkerParams


class PlannerParams(WorkerParams):
    """When to get in and out."""

    reward_to_risk: float = Field(
        2.0, gt=0, le=20, description="distance of the target in distances of the stop", json_schema_extra={"search": [1.5, 2, 3]}
    )
    min_score: float = Field(0.3, ge=0, le=1, description="opportunities below this are passed over")
    max_threat: float = Field(0.6, ge=0, le=1, description="leave, and stay out, from this severity on")
    allow_short: bool = Field(True, description="whether to sell what is not held")


@dataclass(frozen=True, slots=True)
class Held:
    """What the planner has planned to hold.

    Attributes:
        filled: whether it is held in fact: then the account's orders watch the stop and the target.
        leaving: whether it was to be left, and fills have not said yet that it was.
    """

    side: str
    stop_price: float
    target_price: float
    filled: bool = False
    leaving: bool = False


class FixedRiskPlanner(PlanningWorker[PlannerParams]):
    """One position per asset: in on an opportunity without threat; out at the stop, at the target, or on a threat.

    What fills has the stop and the target as orders, and the planner is out when they are done. What never fills, because signals are
    only recorded, an entry was refused or its limit not met, is followed on bars: at its stop or its target the idea is over.
    """

    Params: ClassVar[type[WorkerParams]] = PlannerParams
    requires = (OpportunitySignal, ThreatSignal)
    produces = (TradePlan,)

    def setup(self, symbols: tuple[str, ...]) -> None:
        """Begin flat."""
        self._held: dict[str, Held] = {}

    def process(self, tick: BaseContext) -> Disposition:
        """Look for a reason to leave what is held, else for a reason to enter."""
        threat = self.find(tick, ThreatSignal)
        if threat is not None and threat.severity < self.params.max_threat:
            threat = None
        held = self._held.get(tick.asset)
        if held is not None:
            reason = self._why_leave(tick, held, threat)
            if reason is not None:
                if held.filled:
                    self._held[tick.asset] = replace(held, leaving=True)  # until fills say that it is done
                else:
                    del self._held[tick.asset]
                self.put(tick, TradePlan(tick.asset, Side.FLAT, reason))
        else:
            opportunity = self.find(tick, OpportunitySignal)
            if opportunity is not None and not (threat is not None and threat.endangers(opportunity.side)):
                self._enter(tick, opportunity)
        return Disposition.CONTINUE

    def on_fill(self, fill: Fill) -> None:
        """See whether the asset is held in fact."""
        asset = fill.symbol
        quantity = self.providers.position(asset).quantity
        held = self._held.get(asset)
        if quantity == 0:
            if not self.providers.orders(asset):  # else an entry still works: it is as it was
                self._held.pop(asset, None)
        elif held is not None:
            self._held[asset] = replace(held, filled=True)
        else:
            # A fill that came after the entry was given up. Its stop is gone, so it has to go too.
            side = Side.BUY if quantity > 0 else Side.SELL
            self._held[asset] = Held(side.value, fill.price, fill.price, filled=True, leaving=True)

    def _why_leave(self, tick: BaseContext, held: Held, threat: ThreatSignal | None) -> str | None:
        if held.leaving:
            return "still held"
        if held.filled:
            return threat.reason if threat is not None and threat.endangers(Side(held.side)) else None
        bar = self.bars(tick)
        low, high = float(bar.low[-1]), float(bar.high[-1])
        long = held.side == Side.BUY
        # Both may lie within one bar: then the stop counts.
        if low <= held.stop_price if long else high >= held.stop_price:
            return f"stop {held.stop_price:g} reached"
        if high >= held.target_price if long else low <= held.target_price:
            return f"target {held.target_price:g} reached"
        if threat is not None and threat.endangers(Side(held.side)):
            return threat.reason
        return None

    def _enter(self, tick: BaseContext, opportunity: OpportunitySignal) -> None:
        long = opportunity.side is Side.BUY
        target = opportunity.entry_price + self.params.reward_to_risk * (opportunity.entry_price - opportunity.stop_price)
        if opportunity.score < self.params.min_score or not (long or self.params.allow_short) or target <= 0:
            return
        self._held[tick.asset] = Held(opportunity.side.value, opportunity.stop_price, target)
        self.put(
            tick,
            TradePlan(
                asset=tick.asset,
                side=opportunity.side,
                reason=opportunity.reason,
                strength=opportunity.score,
                entry_price=opportunity.entry_price,
                stop_price=opportunity.stop_price,
                take_profit_price=target,
            ),
        )

    def save_state(self) -> dict[str, Any]:
        """What is held or planned to be, by asset."""
        return {asset: asdict(held) for asset, held in self._held.items()}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take it back."""
        self._held = {asset: Held(**held) for asset, held in state.items()}


class ExecutionParams(WorkerParams):
    """How a plan is carried out."""

    limit_entry: bool = Field(False, description="enter at the planned price or better, instead of at the market")


class SignalExecution(ExecutionWorker[ExecutionParams]):
    """Publishes the plan of this tick, if there is one, as a signal."""

    Params: ClassVar[type[WorkerParams]] = ExecutionParams
    requires = (TradePlan,)

    def process(self, tick: BaseContext) -> Disposition:
        """Turn the plan into a signal."""
        plan = self.find(tick, TradePlan)
        if plan is None:
            return Disposition.CONTINUE
        return Disposition.publish(plan.to_signal(limit=self.params.limit_entry))
