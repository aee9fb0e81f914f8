"""SessionCollector: reads plain counters when Prometheus asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.core import Metric, SummaryMetricFamily

from stratd.core import kernel
from stratd.core.states import State
from stratd.data.derivation import Derivation
from stratd.data.gate import Gate
from stratd.data.intake import RejectsFile
from stratd.data.processor import DataProcessor
from stratd.indicators.hub import IndicatorHub
from stratd.journal.journal import Journal
from stratd.strategy.manager import StrategyManager
from stratd.telemetry import metrics as m
from stratd.telemetry.accounts import account_metrics
from stratd.telemetry.families import family_of


@dataclass(frozen=True, slots=True)
class SessionParts:
    """What a collector reads from. `journal` is None where the session keeps none: then there are no metrics of it."""

    name: str
    processor: DataProcessor
    derivation: Derivation
    gate: Gate
    rejects: RejectsFile
    strategies: StrategyManager
    hub: IndicatorHub
    journal: Journal | None = None


class SessionCollector:
    """Turns the counters of a running session into metric families, at scrape time.

    Thread safety: runs in the metrics server's thread; reads counters that other threads write, each of them whole.
    """

    def __init__(self, parts: SessionParts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        """All metric families of the session."""
        parts = self._parts
        data, processor, gate = parts.derivation.data, parts.processor, parts.gate
        yield self._single(m.BARS_IN, processor.bars_in)
        derived = family_of(m.BARS_DERIVED)
        for k, interval in enumerate(data.intervals):
            if k:
                derived.add_metric([parts.name, str(interval)], float(data.count[k].sum()))
        yield derived
        rejected = family_of(m.ROWS_REJECTED)
        for kind, count in parts.rejects.rejected().items():
            rejected.add_metric([parts.name, kind], count)
        yield rejected
        yield self._single(m.EVENT_TIME, max(0, processor.event_time_ns) / 1e9)
        yield self._single(m.STEPS, gate.steps)
        yield self._single(m.GATE_WAIT, gate.wait_ns / 1e9)
        yield self._single(m.BARRIER_TIMEOUTS, gate.timeouts)
        yield self._single(m.HELD_BYTES, data.held_bytes())
        yield self._single(m.COMPACTIONS, data.compactions)
        lost = family_of(m.MINUTES_LOST)
        for symbol, count in zip(data.symbols, parts.derivation.lost.tolist(), strict=True):
            lost.add_metric([parts.name, symbol], count)
        yield lost
        yield self._single(m.KERNELS_COMPILED, kernel.stats.compiled)
        yield self._single(m.KERNELS_COMPILED_LATE, kernel.stats.sealed_compilations)
        yield from self._indicators()
        yield from self._strategies()
        yield from account_metrics(parts.name, parts.strategies.threads)
        if parts.journal is not None:
            yield from self._journal(parts.journal)

    def _indicators(self) -> Iterator[Metric]:
        name, hub = self._parts.name, self._parts.hub
        families = {
            metric: family_of(metric)
            for metric in (
                m.INDICATOR_COLUMNS,
                m.INDICATOR_USERS,
                m.INDICATOR_VALUES,
                m.INDICATOR_SAVED,
                m.INDICATOR_BYTES,
                m.INDICATOR_SECONDS,
            )
        }
        for one in hub.stats():
            figures = (one.columns, one.users, one.computed, one.saved, one.bytes, one.seconds)
            for family, figure in zip(families.values(), figures, strict=True):
                family.add_metric([name, one.label, one.interval], figure)
        yield from families.values()
        yield self._single(m.INDICATOR_ERRORS, len(hub.errors()))
        values = family_of(m.INDICATOR_VALUE)
        for thread in self._parts.strategies.threads:
            for handle in thread.named_indicators():
                values.add_metric([name, thread.name, handle.name, handle.symbol, handle.interval], handle.peek())
        yield values

    def _strategies(self) -> Iterator[Metric]:
        name = self._parts.name
        published = self._parts.gate.published
        families = {
            metric: family_of(metric)
            for metric in (m.NOTIFICATIONS, m.SIGNALS, m.ERRORS, m.HELD_BACK, m.ON_BARS_MAX, m.QUEUE, m.BOTTLENECK, m.STATE)
        }
        summary = SummaryMetricFamily(m.ON_BARS.name, m.ON_BARS.help, labels=["session", *m.ON_BARS.labels])
        for thread in self._parts.strategies.threads:
            labels = [name, thread.name]
            durations = thread.durations
            families[m.NOTIFICATIONS].add_metric(labels, durations.count)
            families[m.SIGNALS].add_metric(labels, thread.signals.count)
            families[m.ERRORS].add_metric(labels, thread.errors)
            families[m.HELD_BACK].add_metric(labels, thread.subscription.held_back)
            families[m.ON_BARS_MAX].add_metric(labels, durations.max_seconds)
            families[m.QUEUE].add_metric(labels, max(0, published - thread.subscription.handled))
            families[m.BOTTLENECK].add_metric(labels, thread.subscription.gate_wait_ns / 1e9)
            for state in State:
                families[m.STATE].add_metric([*labels, str(state)], float(thread.state is state))
            summary.add_metric(labels, durations.count, durations.total_seconds)
            for q in (0.5, 0.99):
                summary.add_sample(
                    m.ON_BARS.name, {"session": name, "strategy": thread.name, "quantile": str(q)}, durations.quantile_seconds(q)
                )
        yield from families.values()
        yield summary

    def _journal(self, journal: Journal) -> Iterator[Metric]:
        # The last ticket is asked for after the last written one: the other way round, the backlog could come out below zero.
        written = journal.durable_ticket
        yield self._single(m.JOURNAL_WRITTEN, written)
        yield self._single(m.JOURNAL_BACKLOG, journal.post(()) - written)
        yield self._single(m.JOURNAL_FAILING, float(journal.failure is not None))

    def _single(self, metric: m.Metric, value: float) -> Metric:
        family = family_of(metric)
        family.add_metric([self._parts.name], value)
        return family
