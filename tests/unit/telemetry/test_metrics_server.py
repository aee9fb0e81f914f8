from __future__ import annotations

import gc
import socket
import threading
import urllib.request
import warnings
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stratd.errors import UsageError
from stratd.telemetry import metrics
from stratd.telemetry.collector import SessionCollector
from stratd.telemetry.metrics_server import MetricsServer

from ...support.spine import Spine, market
from ..data.test_processor import DEADLINE, BlockingFeed
from ..strategy.test_thread import Bars, both
from .test_collector import parts_of


@pytest.fixture
def spine() -> Spine:
    made = Spine(market(history=20))
    made.thread(Bars, symbols=("AAA",))
    return made


@pytest.fixture
def server(spine: Spine) -> Iterator[MetricsServer]:
    spine.build(BlockingFeed())
    made = MetricsServer(SessionCollector(parts_of(spine)), 0)
    yield made
    made.close()


def get(server: MetricsServer) -> dict[str, float]:
    """Values of the samples that have no label but the session's."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=DEADLINE) as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    families = list(text_string_to_metric_families(text))
    assert {family.name for family in families} == {metric.name.removesuffix("_total") for metric in metrics.ALL}
    return {s.name: s.value for family in families for s in family.samples if set(s.labels) == {"session"}}


def test_server_is_scraped_while_the_session_runs_and_afterwards(spine: Spine, server: MetricsServer) -> None:
    feed = spine.processor._feed
    assert isinstance(feed, BlockingFeed)
    assert get(server)[metrics.BARS_IN.name] == 0
    spine.strategies.start()
    spine.processor.start()
    assert feed.reached.wait(DEADLINE)
    assert get(server)[metrics.BARS_IN.name] == 5
    feed.go_on.set()
    assert spine.processor.join(DEADLINE)
    assert spine.strategies.join(DEADLINE) == []
    found = get(server)
    assert found[metrics.BARS_IN.name] == 60
    assert found[metrics.STEPS.name] == spine.gate.steps


def test_server_scraped_without_pause_disturbs_nobody(spine: Spine) -> None:
    spine.build_rows(both(300))
    server = MetricsServer(SessionCollector(parts_of(spine)), 0)
    seen: list[float] = []
    done = threading.Event()

    def scrape() -> None:
        while not done.is_set():
            seen.append(get(server)[metrics.BARS_IN.name])

    scraper = threading.Thread(target=scrape, daemon=True)
    scraper.start()
    try:
        spine.strategies.start()
        spine.processor.start()
        assert spine.processor.join(DEADLINE)
        assert spine.strategies.join(DEADLINE) == []
    finally:
        done.set()
        scraper.join(DEADLINE)
        server.close()
    assert not scraper.is_alive()
    assert seen == sorted(seen)
    assert spine.threads[0].durations.count == 300


def test_server_port_in_use_is_a_usage_error(spine: Spine, server: MetricsServer) -> None:
    with pytest.raises(UsageError, match=f"--metrics-port {server.port}: Address already in use; choose another port") as caught:
        MetricsServer(SessionCollector(parts_of(spine)), server.port)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("port", [70_000, -1])
def test_server_port_that_is_none_is_a_usage_error(spine: Spine, port: int) -> None:
    spine.build_rows([])
    with pytest.raises(UsageError, match=f"--metrics-port {port}"):
        MetricsServer(SessionCollector(parts_of(spine)), port)


def test_close_twice_frees_the_port(spine: Spine) -> None:
    spine.build_rows([])
    server = MetricsServer(SessionCollector(parts_of(spine)), 0)
    server.close()
    server.close()
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", server.port))
    assert not server._thread.is_alive()


def test_server_that_could_not_start_leaves_no_socket_behind(spine: Spine, server: MetricsServer) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(UsageError):
            MetricsServer(SessionCollector(parts_of(spine)), server.port)
        gc.collect()
    assert [str(one.message) for one in caught if one.category is ResourceWarning] == []
