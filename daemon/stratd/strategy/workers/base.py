"""Worker: one step of a workforce."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypeVar

from stratd.errors import StrategySetupError
from stratd.model import Fill, Interval, Order, Position
from stratd.model.dto import BaseContext
from stratd.strategy.context_provider import ITradingContextProvider

if TYPE_CHECKING:
    from stratd.data.series import BarSeries
    from stratd.indicators.base import Indicator
    from stratd.portfolio.portfolio import Portfolio
    from stratd.strategy.handles import DType

D = TypeVar("D")


class WorkerKind(StrEnum):
    """What a worker is for."""

    CONTEXT = "context"
    OPPORTUNITY = "opportunity"
    THREAT = "threat"
    PLANNING = "planning"
    EXECUTION = "execution"

    @property
    def phase(self) -> int:
        """Kinds run in the order of their phases; opportunity and threat workers share one."""
        return _PHASES[self]


_PHASES = {
    WorkerKind.CONTEXT: 0,
    WorkerKind.OPPORTUNITY: 1,
    WorkerKind.THREAT: 1,
    WorkerKind.PLANNING: 2,
    WorkerKind.EXECUTION: 3,
}


class Verdict(Enum):
    """How a tick goes on after a worker."""

    CONTINUE = "continue"
    PUBLISH = "publish"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Disposition:
    """What a worker says when it is done: `Disposition.CONTINUE`, `Disposition.publish(value)`, `Disposition.STOP`.

    Attributes:
        verdict: CONTINUE: the next worker; PUBLISH: the same, and `value` leaves the workforce; STOP: no further worker
            sees this asset in this tick.
        value: what is published.
    """

    verdict: Verdict
    value: Any = None

    CONTINUE: ClassVar[Disposition]
    STOP: ClassVar[Disposition]

    @classmethod
    def publish(cls, value: object) -> Disposition:
        """Let `value` leave the workforce; of an execution worker: a Signal or a TradePlan."""
        return cls(Verdict.PUBLISH, value)


Disposition.CONTINUE = Disposition(Verdict.CONTINUE)
Disposition.STOP = Disposition(Verdict.STOP)


class WorkerParams(BaseModel):
    """Parameters of a worker: subclass it and add fields with bounds and defaults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AsksForIndicators(Protocol):
    """What gives handles on indicators."""

    def __call__(
        self,
        indicator: Indicator,
        symbol: str,
        interval: Interval | str,
        *,
        name: str = "",
        lazy: bool = False,
        private: bool = False,
        dtype: DType = "float64",
    ) -> Any:
        """See `StrategyContext.indicator`."""


def _no_account(*_: object) -> Any:
    raise StrategySetupError("workforce", "its workers were given no account to look at")


@dataclass(frozen=True, slots=True)
class WorkerProviders:
    """What a strategy hands its workers: its own, never shared. Nothing in it can trade; that is for what is published.

    Attributes:
        context: the DTOs of the current tick.
        interval: the interval that the strategy's ticks come at.
        bars: `ctx.bars`: the bars of (symbol, interval) up to this event.
        indicator: `ctx.indicator`: a handle on (indicator, symbol, interval); ask for it in `setup`.
        watch: `ctx.watch`: make (symbols, interval) readable; only in `setup`.
        log: the strategy's logger.
        position: `ctx.position`: what the strategy holds of a symbol.
        orders: `ctx.orders`: its orders of a symbol that may still fill.
        portfolio: `ctx.portfolio`: its money and positions.
    """

    context: ITradingContextProvider
    interval: Interval
    bars: Callable[[str, Interval | str], BarSeries]
    indicator: AsksForIndicators
    watch: Callable[[str | Iterable[str], Interval | str], tuple[str, ...]]
    log: Any
    position: Callable[[str], Position] = _no_account
    orders: Callable[[str], tuple[Order, ...]] = _no_account
    portfolio: Callable[[], Portfolio] = _no_account


WP = TypeVar("WP", bound=WorkerParams, default=WorkerParams)


class Worker(ABC, Generic[WP]):
    """Base of all workers. Derive from the class of its kind: `ContextWorker`, `OpportunityWorker`, ...

    A worker reads DTOs, bars and indicators, sets the DTOs it makes, and says how the tick goes on. The order of the
    workers follows from `requires` and `produces`. It may keep state between ticks, by asset: one worker
    serves all assets of its strategy. It runs in its strategy's thread only.

    Class attributes:
        Params: the pydantic model of its parameters.
        requires: DTO types it reads. Someone must produce them; whether one is there in a given tick is asked with `find`.
        produces: DTO types it sets. Nobody else may.
    """

    kind: ClassVar[WorkerKind]
    Params: ClassVar[type[WorkerParams]] = WorkerParams
    requires: tuple[type, ...] = ()
    produces: tuple[type, ...] = ()

    def __init__(self, name: str, params: WP, providers: WorkerProviders) -> None:
        self.name = name
        self.params = params
        self.providers = providers
        self.context = providers.context

    @property
    def lookback(self) -> int:
        """Bars that have to be there before the first tick."""
        return 0

    def setup(self, symbols: tuple[str, ...]) -> None:
        """Ask for indicators and further streams. Called once, after the strategy has subscribed to `symbols`."""

    @abstractmethod
    def process(self, tick: BaseContext) -> Disposition:
        """Do the work for one asset at one event time."""

    def on_fill(self, fill: Fill) -> None:
        """One of the strategy's orders was filled. Told to every worker, in running order, before the next tick."""

    def save_state(self) -> dict[str, Any]:
        """What must survive a restart, as plain JSON values. Indicators, and DTOs, which live for one tick, need no keeping."""
        return {}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Take back what `save_state` gave. Called after `setup`, unless that was nothing."""

    def bars(self, tick: BaseContext) -> BarSeries:
        """The bars of the tick's asset at the strategy's interval."""
        return self.providers.bars(tick.asset, self.providers.interval)

    def get(self, tick: BaseContext, dto_type: type[D]) -> D:
        """The DTO of this type for the tick's asset.

        Raises:
            MissingDTO: it has not been set.
        """
        dto: D = self.context.get_required_dtos(self, (dto_type,), tick.asset)[dto_type]
        return dto

    def find(self, tick: BaseContext, dto_type: type[D]) -> D | None:
        """The DTO of this type for the tick's asset, or None where its maker had nothing to say."""
        return self.get(tick, dto_type) if self.context.has_dto(dto_type, tick.asset) else None

    def put(self, tick: BaseContext, dto: object) -> None:
        """Set a DTO for the tick's asset."""
        self.context.set_result_dto(self, dto, tick.asset)


class ContextWorker(Worker[WP]):
    """Says what is: regime, structure, levels."""

    kind = WorkerKind.CONTEXT


class OpportunityWorker(Worker[WP]):
    """Sees reasons to trade."""

    kind = WorkerKind.OPPORTUNITY


class ThreatWorker(Worker[WP]):
    """Sees reasons not to trade, or to leave."""

    kind = WorkerKind.THREAT


class PlanningWorker(Worker[WP]):
    """Decides what is to be done."""

    kind = WorkerKind.PLANNING


class ExecutionWorker(Worker[WP]):
    """Says how it is done: publishes signals or plans."""

    kind = WorkerKind.EXECUTION
