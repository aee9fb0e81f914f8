"""The same session with orders as backtesting.py and nautilus_trader have simulated it, by what they once came to.

`python bench/comparison_orders.py --record` runs the peers and writes peers.json. docs/peers.md explains what differs.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from tests.support.paths import repo_root

RECORDED: Final[dict[str, Any]] = json.loads((Path(__file__).parent / "peers.json").read_text())
BENCH_MODULES: Final = ("comparison_orders", "comparison", "cross_cases", "peer", "support", "w1", "workloads")


@pytest.fixture(scope="module")
def comparison() -> Iterator[ModuleType]:
    bench = str(repo_root() / "bench")
    sys.path.insert(0, bench)
    yield importlib.import_module("comparison_orders")
    sys.path.remove(bench)
    for name in BENCH_MODULES:  # scripts have plain names, which are nobody else's business
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def ours(comparison: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    played: dict[str, Any] = comparison.play(tmp_path_factory.mktemp("peers"))
    return played


@pytest.mark.parametrize("name", sorted(RECORDED["peers"]))
def test_session_with_orders_comes_to_the_trades_and_equity_of_a_peer(
    comparison: ModuleType, ours: dict[str, Any], name: str
) -> None:
    theirs = comparison.cross_cases.heard(RECORDED["peers"][name])
    bar_ns = comparison.PEERS[name].bar_ns

    assert theirs.keys() == ours.keys()
    found = [f"{case}: {text}" for case in ours for text in comparison.differences(ours[case], theirs[case], bar_ns)]
    assert found == []
    assert all(len(played.trips) >= 9 for played in ours.values())


def test_every_peer_that_must_be_the_same_is_recorded(comparison: ModuleType) -> None:
    assert set(RECORDED["peers"]) == {name for name, peer in comparison.PEERS.items() if peer.same}


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"entry_price": 270.70}, "trade 1"),
        ({"entry_time": 1549905960_000000000}, "trade 1"),
        ({"exit_time": None, "exit_price": None}, "trade 1"),
        ({"quantity": 2.0}, "trade 1"),
    ],
)
def test_difference_of_one_trade_is_found(
    comparison: ModuleType, ours: dict[str, Any], change: dict[str, Any], found: str
) -> None:
    right = ours["regular SPY unit"]
    wrong = right._replace(trips=[right.trips[0]._replace(**change), *right.trips[1:]])

    (text,) = comparison.differences(right, wrong, comparison.MINUTE_NS)

    assert text.startswith(found)


def test_difference_of_a_trade_too_few_and_of_equity_is_found(comparison: ModuleType, ours: dict[str, Any]) -> None:
    right = ours["regular SPY unit"]
    wrong = right._replace(trips=right.trips[:-1], final_equity=right.final_equity * (1 + 2e-6))

    few, equity = comparison.differences(right, wrong, comparison.MINUTE_NS)

    assert few == f"{len(right.trips)} trades, theirs {len(right.trips) - 1}"
    assert equity.startswith("final equity")
