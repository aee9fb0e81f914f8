"""The workers: regime classifier, risk assessor, planner, execution."""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Any, ClassVar

from pydantic import Field

from stratd.indicators import SMA, Highest, TrueRange, ZScore
from stratd.indicators.arithmetic import Ratio
from stratd.model import MINUTE_NS, Fill, Side
from stratd.model.dto import BaseContext, TradePlan
from stratd.strategy.workers import ContextWorker, Disposition, ExecutionWorker, PlanningWorker, ThreatWorker, WorkerParams

from .dtos import MarketRegimeDTO, RiskAssessmentDTO, Valuation


class ClassifierParams(WorkerParams):
    """What is cheap, and what is dear."""

    window: int = Field(100, ge=10, le=1000, description="bars of the mean", json_schema_extra={"search": [50, 100, 200]})
    band: float = Field(1.0, gt=0, le=5, description="standard deviations from the mean that make cheap or dear")


class RegimeClassifier(ContextWorker[ClassifierParams]):
    """Compares the close with the mean of its window."""

    Params: ClassVar[type[WorkerParams]] = ClassifierParams
    produces = (MarketRegimeDTO,)

    @property
    def lookback(self) -> int:
        """The window."""
        return self.params.window

    def setup(self, symbols: tuple[str, ...]) -> None:
        """One indicator per asset; 0 where all closes of the window are equal."""
        indicator, interval = self.providers.indicator, self.providers.interval
        self._deviation = {
            symbol: indicator(ZScore(self.params.window), symbol, interval, name="deviation") for symbol in symbols
        }

    def process(self, tick: BaseContext) -> Disposition:
        """Classify this bar's close."""
        deviation = self._deviation[tick.asset].value
        valuation = Valuation.FAIR
        if deviation <= -self.params.band:
            valuation = Valuation.CHEAP
        elif deviation >= self.params.band:
            valuation = Valuation.DEAR
        self.put(tick, MarketRegimeDTO(valuation, deviation))
        return Disposition.CONTINUE


class RiskParams(WorkerParams):
    """What is risky."""

    window: int = Field(100, ge=10, le=1000, description="bars looked back at")
    recent: int = Field(10, ge=2, le=100, description="bars that are of late; at most window count")
    worst_agitation: float = Field(4.0, gt=1, le=50, description="agitation at which the level is 1")
    worst_drawdown: float = Field(0.3, gt=0, le=1, description="drawdown at which the level is 1")


class RiskAssessor(ThreatWorker[RiskParams]):
    """The worse of two: how agitated the market is, and how far it has fallen.

    Agitation is the average true range of the last `recent` bars over that of the window; 1 where nothing has moved.
    """

    Params: ClassVar[type[WorkerParams]] = RiskParams
    produces = (RiskAssessmentDTO,)

    @property
    def lookback(self) -> int:
        """The window, and the bar before it: true ranges begin at its close."""
        return self.params.window + 1

    def setup(self, symbols: tuple[str, ...]) -> None:
        """Two indicators per asset."""
        indicator, interval, window = self.providers.indicator, self.providers.interval, self.params.window
        recent, whole = SMA(min(self.params.recent, window)).of(TrueRange()), SMA(window).of(TrueRange())
        self._agitation = {
            symbol: indicator(Ratio(recent, whole, undefined=1.0), symbol, interval, name="agitation") for symbol in symbols
        }
        self._top = {symbol: indicator(Highest(window), symbol, interval, name="top") for symbol in symbols}

    def process(self, tick: BaseContext) -> Disposition:
        """Assess the window that ends with this bar."""
        agitation = self._agitation[tick.asset].value
        drawdown = 1.0 - tick.current_price / self._top[tick.asset].value
        level = max((agitation - 1.0) / (self.params.worst_agitation - 1.0), drawdown / self.params.worst_drawdown, 0.0)
        self.put(tick, RiskAssessmentDTO(min(1.0, level), drawdown, agitation))
        return Disposition.CONTINUE


class DcaParams(WorkerParams):
    """When and how much to buy."""

    every_minutes: int = Field(
        240, ge=1, le=1_000_000, description="event time between purchases", json_schema_extra={"search": [60, 240, 1440]}
    )
    base_weight: float = Field(0.01, gt=0, le=1, description="fraction of equity bought each time at a fair price")
    cheap_factor: float = Field(2.0, ge=1, le=10, description="how many times as much when cheap")
    dear_factor: float = Field(0.5, ge=0, le=1, description="how many times as much when dear; 0 buys nothing")
    max_weight: float = Field(0.25, gt=0, le=1, description="no purchases beyond this fraction of equity in one asset")
    pause_above: float = Field(0.8, gt=0, le=1, description="risk level from which on purchases wait")


class DcaPlanner(PlanningWorker[DcaParams]):
    """Buys every so many minutes, sized by regime. A purchase that the risk level has put off is made when it allows.

    A target weight is obeyed as it is, by selling too where more is held. So it starts from what is held in fact, at this close, with
    the purchases that still work; as long as nothing has filled, because signals are only recorded or entries were refused, from what was
    planned. After a purchase that did not fill the next one makes up for it in the second case only.
    """

    Params: ClassVar[type[WorkerParams]] = DcaParams
    requires = (MarketRegimeDTO, RiskAssessmentDTO)
    produces = (TradePlan,)

    def setup(self, symbols: tuple[str, ...]) -> None:
        """Begin with nothing, and with a purchase due."""
        self._weight: defaultdict[str, float] = defaultdict(float)
        self._waited_since: dict[str, int] = {}
        self._filled: set[str] = set()

    def process(self, tick: BaseContext) -> Disposition:
        """Plan a purchase if one is due."""
        if not self._due(tick) or self.get(tick, RiskAssessmentDTO).level >= self.params.pause_above:
            return Disposition.CONTINUE
        self._waited_since[tick.asset] = tick.timestamp
        regime = self.get(tick, MarketRegimeDTO)
        factor = {Valuation.CHEAP: self.params.cheap_factor, Valuation.FAIR: 1.0, Valuation.DEAR: self.params.dear_factor}
        size = self.params.base_weight * factor[regime.valuation]
        weight = self._weight_now(tick)
        target = min(self.params.max_weight, weight + size)
        if target > weight:
            self._weight[tick.asset] = target
            self.put(
                tick,
                TradePlan(
                    asset=tick.asset,
                    side=Side.BUY,
                    reason=f"{regime.valuation}: {regime.deviation:+.1f} deviations from the mean",
                    strength=min(1.0, size / (self.params.base_weight * self.params.cheap_factor)),
                    target_weight=target,
                    entry_price=tick.current_price,
                ),
            )
        return Disposition.CONTINUE

    def on_fill(self, fill: Fill) -> None:
        """From now on the account says what is held."""
        self._filled.add(fill.symbol)

    def _weight_now(self, tick: BaseContext) -> float:
        """Fraction of equity that is held and being bought; infinite where there is no equity to buy with."""
        if tick.asset not in self._filled:
            return self._weight[tick.asset]
        equity = self.providers.portfolio().equity
        if not equity > 0:
            return math.inf
        working = sum(order.quantity - order.filled for order in self.providers.orders(tick.asset) if order.side is Side.BUY)
        return (self.providers.position(tick.asset).quantity + working) * tick.current_price / equity

    def _due(self, tick: BaseContext) -> bool:
        # In event time rather than in bars seen: it goes on over overruns and restarts.
        since = self._waited_since.get(tick.asset)
        return since is None or tick.timestamp - since >= self.params.every_minutes * MINUTE_NS

    def save_state(self) -> dict[str, Any]:
        """Weights and times of the last purchases, by asset, and which assets have ever filled."""
        return {"weight": dict(self._weight), "waited_since": dict(self._waited_since), "filled": sorted(self._filled)}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self._weight.update(state["weight"])
        self._waited_since.update(state["waited_since"])
        self._filled.update(state["filled"])


class DcaExecutionParams(WorkerParams):
    """How a purchase is made."""

    limit_entry: bool = Field(False, description="buy at the close that was seen or better, instead of at the market")


class DcaExecution(ExecutionWorker[DcaExecutionParams]):
    """Publishes the purchase of this tick, if there is one."""

    Params: ClassVar[type[WorkerParams]] = DcaExecutionParams
    requires = (TradePlan,)

    def process(self, tick: BaseContext) -> Disposition:
        """Turn the plan into a signal."""
        plan = self.find(tick, TradePlan)
        if plan is None:
            return Disposition.CONTINUE
        return Disposition.publish(plan.to_signal(limit=self.params.limit_entry))
