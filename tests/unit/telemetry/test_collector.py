from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from stratd.core import kernel
from stratd.core.states import State
from stratd.execution.rules import AccountRules
from stratd.indicators import SMA
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.model import Interval, Refusal, Side, TradingState
from stratd.portfolio.cells import C_CASH, C_CELLS, C_FILL_COUNT, C_VALUE, X_AHEAD
from stratd.strategy.thread import ThreadPolicy
from stratd.telemetry import accounts, metrics
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


class Trades(Bars):
    """Buys one AAA at its 3rd bar, sells it at its 6th, buys two at its 9th, and asks for far too many at its 12th and 13th."""

    def on_bars(self, symbol: str, interval: Interval) -> None:
        super().on_bars(symbol, interval)
        bar = sum(event[0] == "AAA" for event in self.seen) if symbol == "AAA" else 0
        wanted = {3: (Side.BUY, 1.0), 6: (Side.SELL, 1.0), 9: (Side.BUY, 2.0), 12: (Side.BUY, 1e6), 13: (Side.BUY, 1e6)}
        if bar in wanted:
            side, quantity = wanted[bar]
            self.ctx.order(symbol, side, quantity)


class StubJournal:
    """A journal of which three groups of five are written."""

    durable_ticket = 3
    failure: str | None = None

    def post(self, entries: Sequence[Entry]) -> int:
        assert len(entries) == 0
        return 5


def parts_of(spine: Spine, journal: Any = None) -> SessionParts:
    parts = (spine.processor, spine.derivation, spine.gate, spine.rejects, spine.strategies, spine.hub)
    return SessionParts("tiny", *parts, StubJournal() if journal is None else journal)  # type: ignore[arg-type]


def scrape(spine: Spine, journal: Any = None) -> tuple[dict[str, Any], Samples]:
    """Families by name, and all samples, as Prometheus would read them."""
    registry = CollectorRegistry()
    registry.register(SessionCollector(parts_of(spine, journal)))
    families = list(text_string_to_metric_families(generate_latest(registry).decode()))
    assert len({family.name for family in families}) == len(families)
    samples = {(sample.name, frozenset(sample.labels.items())): sample.value for family in families for sample in family.samples}
    return {family.name: family for family in families}, samples


def played() -> Spine:
    spine = Spine(market(history=20))
    spine.thread(Named, "bars", ThreadPolicy(max_errors=100), raises=(1, 2))
    spine.thread(Slices, "slices", ThreadPolicy(min_quality=0.99))
    spine.thread(Bars, "bad", ThreadPolicy(max_errors=0), raises=(5,))
    trader = spine.thread(Trades, "trader", rules=AccountRules(allocated_capital=10_000.0))
    rows = both(40)
    spine.run([*bars("AAA 12:00 nan 1 1 1"), *rows[1:], *bars("BBB 12:00 100")])
    assert trader.account is not None
    trader.account.closed_by = Refusal.KILL_SWITCH
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


def test_collect_of_accounts_says_what_they_did_and_have() -> None:
    spine = played()
    _, samples = scrape(spine)
    account = next(thread for thread in spine.threads if thread.name == "trader").account
    assert account is not None
    final = account.final
    found = {
        metric: of(samples, metric, strategy="trader")
        for metric in (*accounts._COUNTS, metrics.CASH, metrics.EQUITY, metrics.REALISED)
    }
    assert found == {
        metrics.ORDERS: 3,
        metrics.FILLS: 3,
        metrics.TRADES: 1,
        metrics.OPEN_POSITIONS: 1,
        metrics.CASH: final.cash,
        metrics.EQUITY: final.equity,
        metrics.REALISED: final.realised_pnl,
    }
    assert 0 < final.cash < final.equity
    assert of(samples, metrics.REFUSED, strategy="trader", reason="buying_power") == 2
    assert of(samples, metrics.CLOSED, strategy="trader", reason="kill_switch") == 1
    states = {state: of(samples, metrics.TRADING_STATE, strategy="trader", state=str(state)) for state in TradingState}
    assert states == {TradingState.ACTIVE: 1, TradingState.REDUCING: 0, TradingState.HALTED: 0}


def test_cells_of_an_account_that_has_run_ahead_are_those_of_its_strategy() -> None:
    account = next(thread for thread in played().threads if thread.name == "trader").account
    assert account is not None
    before = accounts.cells_of(account)
    account.cells[C_CELLS : 2 * C_CELLS] = account.cells[:C_CELLS]
    account.cells[X_AHEAD] = 1
    account.cells[C_CASH] -= 500
    account.cells[C_VALUE] += 500
    account.cells[C_FILL_COUNT] += 1
    assert accounts.cells_of(account) == before


def test_collect_of_a_journal_says_what_is_written_and_what_waits() -> None:
    spine = played()
    _, samples = scrape(spine)
    assert of(samples, metrics.JOURNAL_WRITTEN) == 3
    assert of(samples, metrics.JOURNAL_BACKLOG) == 2
    assert of(samples, metrics.JOURNAL_FAILING) == 0
    failing = StubJournal()
    failing.failure = "the disk is full"
    assert of(scrape(spine, failing)[1], metrics.JOURNAL_FAILING) == 1


def test_collect_of_a_journal_itself_counts_its_groups(tmp_path: Path) -> None:
    spine = played()
    with Journal(tmp_path / "journal.sqlite3", durable=True, session="tiny") as journal:
        ticket = journal.post([Entry("", 1, 0, b"a")])
        assert journal.wait(ticket, 20)
        _, samples = scrape(spine, journal)
        assert (of(samples, metrics.JOURNAL_WRITTEN), of(samples, metrics.JOURNAL_BACKLOG)) == (1, 0)
    _, samples = scrape(spine, journal)
    assert (of(samples, metrics.JOURNAL_WRITTEN), of(samples, metrics.JOURNAL_BACKLOG)) == (1, 0)


def test_collect_without_a_journal_has_no_metrics_of_one() -> None:
    spine = played()
    registry = CollectorRegistry()
    registry.register(SessionCollector(replace(parts_of(spine), journal=None)))
    assert "stratd_journal" not in generate_latest(registry).decode()


def test_collect_before_the_first_bar_is_zeros_and_capital() -> None:
    spine = Spine(market(history=20))
    spine.thread(Bars, rules=AccountRules(allocated_capital=5_000.0))
    spine.build_rows([])
    families, samples = scrape(spine)
    assert set(families) == {metric.name.removesuffix("_total") for metric in metrics.ALL}
    kernels = {metrics.KERNELS_COMPILED.name, metrics.KERNELS_COMPILED_LATE.name}
    journal = {metrics.JOURNAL_WRITTEN.name, metrics.JOURNAL_BACKLOG.name}
    states = {("state", "READY"), ("state", "active")}
    above_zero = {name: value for (name, labels), value in samples.items() if value and not states & labels}
    money = {metrics.EQUITY.name: 5_000.0, metrics.CASH.name: 5_000.0}
    assert {name: value for name, value in above_zero.items() if name not in kernels | journal} == money


def test_metrics_names_follow_prometheus() -> None:
    names = [metric.name for metric in metrics.ALL]
    assert len(set(names)) == len(names)
    for metric in metrics.ALL:
        assert metric.name.startswith("stratd_")
        assert metric.name.endswith("_total") == (metric.kind == "counter")
        assert not metric.help.endswith(".")
