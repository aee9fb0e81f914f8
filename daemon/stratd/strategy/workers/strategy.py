"""WorkforceStrategy: a strategy that is a workforce."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import TypeVar

from stratd.errors import WorkforceError
from stratd.model import Fill, Interval, Signal
from stratd.model.dto import TradePlan
from stratd.strategy.base import Strategy
from stratd.strategy.context_provider import TradingContextProvider
from stratd.strategy.params import StrategyParams
from stratd.strategy.tick_cache import TickCacheManager
from stratd.strategy.workers.base import Worker, WorkerKind, WorkerProviders
from stratd.strategy.workers.blueprint import WorkforceParams
from stratd.strategy.workers.factory import WorkerFactory
from stratd.strategy.workers.workforce import Workforce

if TYPE_CHECKING:
    from stratd.strategy.context import StrategyContext

P = TypeVar("P", bound=WorkforceParams, default=WorkforceParams)


class WorkforceStrategy(Strategy[P]):
    """Runs the workforce that its parameters describe, on every bar of `params.interval`.

    It can be named in a session as it is, with workers given as `module:Class`, or be derived from with a default
    blueprint (see `strategies/examples/ict_smc`).

    Attributes:
        provider: the DTOs of the current tick; this strategy's own.
        workforce: the workers, in running order.
    """

    Params: ClassVar[type[StrategyParams]] = WorkforceParams

    provider: TradingContextProvider
    workforce: Workforce
    _ticks: TickCacheManager

    def setup(self, ctx: StrategyContext) -> None:
        """Build the workforce, subscribe with the longest lookback that a worker asks for, set the workers up.

        Raises:
            WorkforceConfigError: the blueprint does not fit; says everything that is wrong.
        """
        # The provider names producers in its errors, and they are known once the workers, which hold the provider, are built.
        producers: dict[type, str] = {}
        self.provider = TradingContextProvider(producers)
        self._ticks = TickCacheManager(self.provider)
        providers = WorkerProviders(
            context=self.provider,
            interval=self.params.interval,
            bars=ctx.bars,
            indicator=ctx.indicator,
            watch=ctx.watch,
            log=ctx.log,
            # Looked up when asked for: in setup there is no account yet.
            position=lambda symbol: ctx.position(symbol),
            orders=lambda symbol: ctx.orders(symbol),
            portfolio=lambda: ctx.portfolio,
        )
        self.workforce = Workforce(WorkerFactory(providers, type(self)).build(self.params.workforce))
        producers.update(self.workforce.producers)
        symbols = ctx.subscribe(self.params.symbols, self.params.interval, lookback=self.workforce.lookback)
        for worker in self.workforce.order:
            worker.setup(symbols)

    def on_bars(self, symbol: str, interval: Interval) -> None:
        """One tick of one asset."""
        close = float(self.ctx.bars(symbol, interval).close[-1])
        tick = self._ticks.on_bars(self.ctx.now, close, symbol)
        for worker, value in self.workforce.run(tick):
            if worker.kind is not WorkerKind.EXECUTION:
                self.on_published(worker, value)
            elif isinstance(value, Signal):
                self.ctx.emit(value)
            elif isinstance(value, TradePlan):
                self.ctx.emit(value.to_signal())
            else:
                raise WorkforceError(
                    f"execution worker {worker.name} published a {type(value).__qualname__}; publish a Signal or a TradePlan"
                )

    def on_fill(self, fill: Fill) -> None:
        """Every worker hears of it."""
        for worker in self.workforce.order:
            worker.on_fill(fill)

    def on_published(self, worker: Worker[Any], value: Any) -> None:
        """A worker that is no execution worker has published something. The default logs it; override to use it."""
        self.ctx.log.info("published", worker=worker.name, value=value)

    def save_state(self) -> dict[str, Any]:
        """The state of every worker that has one, by worker."""
        states = {worker.name: worker.save_state() for worker in self.workforce.order}
        return {name: state for name, state in states.items() if state}

    def restore_state(self, state: dict[str, Any]) -> None:
        """Give every worker its state back. A worker that has gone since is left out, and logged."""
        workers = {worker.name: worker for worker in self.workforce.order}
        for name, one in state.items():
            worker = workers.get(name)
            if worker is None:
                self.ctx.log.warning("state of a worker that is no longer there", worker=name)
            else:
                worker.restore_state(one)

    def teardown(self) -> None:
        """End the last tick."""
        self._ticks.end()
