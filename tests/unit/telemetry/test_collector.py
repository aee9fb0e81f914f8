from __future__ import annotations

from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stratd.core import kernel
from stratd.core.states import State
from stratd.indicators import SMA
from stratd.strategy.thread import ThreadPolicy
from stratd.telemetry import metrics
from stratd.telemetry.collector import SessionCollector, SessionParts
from stratd.testing.bars import bars

from ...support.spine import Spine, market
from ...support.tight import tight_memory  # noqa: F401 - a fixture for all tests here
from ..strategy.test_thread import Bars, Slices, both


class Named(Bars):
    """Has an indicator with a name."""

    def setup(self, ctx: Any) -> None:
        super().setup(ctx)
        self.mean = ctx.indicator(SMA(3), "AAA", "1m", name="mean")


Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def parts_of(spine: Spine) -> SessionParts:
    return SessionParts("tiny", spine.processor, spine.derivation, spine.gate, spine.rejects, spine.strategies, spine.hub)


def scrape(spine: Spine) -> tuple[dict[str, Any], Samples]:
    """Families by name, and all samples, as Prometheus would read them."""
    registry = CollectorRegistry()
    registry.register(SessionCollector(parts_of(spine)))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert len({family.name for family in families}) == len(families)
    samples = {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}
    return {family.name: family for family in families}, samples


def played() -> Spine:
    spine = Spine(market(history=20))
    spine.thread(Named, "bars", ThreadPolicy(max_errors=100), raises=(1, 2))
    spine.thread(Slices, "slices", ThreadPolicy(min_quality=0.99))
    spine.thread(Bars, "bad", ThreadPolicy(max_errors=0), raises=(5,))
    rows = both(40)
    spine.run([*bars("AAA 12:00 nan 1 1 1"), *rows[1:], *bars("BBB 12:00 100")])
    return spine


def of(samples: Samples, metric: metrics.Metric, suffix: str = "", **labels: str) -> float:
    return samples[metric.name + suffix, frozenset({"session": "tiny", **labels}.items())]


def test_collect_gives_every_metric_of_the_table_and_no_other() -> None:
    families, _ = scrape(played())
    expected = {metric.name.removesuffix("_total"): metric for metric in metrics.ALL}
    assert set(families) == set(expected)
    for name, metric in expected.items():
        family = families[name]
        assert (family.type, family.documentation) == (metric.kind, metric.help)
        assert family.samples, f"{name} has no samples in a session in which everything happens"
        for sample in family.samples:
            extra = {"quantile"} if "quantile" in sample.labels else set()
            assert set(sample.labels) == {"session", *metric.labels} | extra


def test_collect_says_what_the_session_counted() -> None:
    spine = played()
    _, samples = scrape(spine)
    assert of(samples, metrics.BARS_IN) == 79
    assert of(samples, metrics.BARS_DERIVED, interval="2m") == 40
    assert of(samples, metrics.ROWS_REJECTED, kind="nan") == 1
    assert of(samples, metrics.ROWS_REJECTED, kind="out_of_order") == 1
    assert of(samples, metrics.MINUTES_LOST, symbol="AAA") == 1
    assert of(samples, metrics.MINUTES_LOST, symbol="BBB") == 0
    assert of(samples, metrics.EVENT_TIME) == spine.processor.event_time_ns / 1e9
    assert of(samples, metrics.STEPS) == spine.gate.steps
    assert of(samples, metrics.GATE_WAIT) == spine.gate.wait_ns / 1e9
    assert of(samples, metrics.BARRIER_TIMEOUTS) == 0
    assert of(samples, metrics.HELD_BYTES) == spine.data.held_bytes() > 0
    assert of(samples, metrics.COMPACTIONS) == spine.data.compactions > 0
    assert of(samples, metrics.KERNELS_COMPILED) == kernel.stats.compiled
    assert of(samples, metrics.KERNELS_COMPILED_LATE) == kernel.stats.sealed_compilations
    for thread in spine.threads:
        name = thread.name
        assert of(samples, metrics.NOTIFICATIONS, strategy=name) == thread.durations.count
        assert of(samples, metrics.SIGNALS, strategy=name) == thread.signals.count
        assert of(samples, metrics.ERRORS, strategy=name) == thread.errors
        assert of(samples, metrics.HELD_BACK, strategy=name) == thread.subscription.held_back
        assert of(samples, metrics.BOTTLENECK, strategy=name) == thread.subscription.gate_wait_ns / 1e9
        assert of(samples, metrics.ON_BARS, "_count", strategy=name) == thread.durations.count
        assert of(samples, metrics.ON_BARS, "_sum", strategy=name) == thread.durations.total_seconds
        half, most = (of(samples, metrics.ON_BARS, strategy=name, quantile=q) for q in ("0.5", "0.99"))
        assert 0 < half <= most <= of(samples, metrics.ON_BARS_MAX, strategy=name)
    assert of(samples, metrics.ERRORS, strategy="bars") == 2
    assert of(samples, metrics.HELD_BACK, strategy="slices") > 0


def test_collect_state_is_one_for_the_state_it_is_in_and_zero_for_all_others() -> None:
    _, samples = scrape(played())
    for name, state in (("bars", State.STOPPED), ("slices", State.STOPPED), ("bad", State.QUARANTINED)):
        found = {other: of(samples, metrics.STATE, strategy=name, state=str(other)) for other in State}
        assert found == {other: float(other is state) for other in State}


def test_collect_queue_is_what_was_published_and_not_worked_through() -> None:
    spine = Spine(market(history=20), window=64)
    thread = spine.thread(Bars)
    spine.build_rows(both(10))
    spine.strategies.start()
    spine.processor.start()
    assert spine.processor.join(20)
    assert spine.strategies.join(20) == []
    assert of(scrape(spine)[1], metrics.QUEUE, strategy="one") == spine.gate.published - thread.subscription.handled == 0
    thread.subscription.handled -= 7
    assert of(scrape(spine)[1], metrics.QUEUE, strategy="one") == 7


def test_collect_before_the_first_bar_is_all_zeros() -> None:
    spine = Spine(market(history=20))
    spine.thread(Bars)
    spine.build_rows([])
    families, samples = scrape(spine)
    assert set(families) == {metric.name.removesuffix("_total") for metric in metrics.ALL}
    kernels = {metrics.KERNELS_COMPILED.name, metrics.KERNELS_COMPILED_LATE.name}
    assert {name for (name, labels), value in samples.items() if value and ("state", "READY") not in labels} <= kernels


def test_metrics_names_follow_prometheus() -> None:
    names = [metric.name for metric in metrics.ALL]
    assert len(set(names)) == len(names)
    for metric in metrics.ALL:
        assert metric.name.startswith("stratd_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not metric.help.endswith(".")
