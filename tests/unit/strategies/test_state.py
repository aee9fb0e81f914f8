"""The contract of every shipped strategy: saved at any event and restored in a new instance, it goes on as if nothing had been."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stratd.execution.records import Event
from stratd.execution.rules import AccountRules
from stratd.strategy.base import Strategy
from stratd.strategy.plugin import discover_strategies, unload
from stratd.strategy.signals import SignalRecord
from tests.support.paths import repo_root

from .stage import PARAMS, ROUGH, SMOOTH, kind_of, perform, relay, walk

ROWS = walk()


@pytest.fixture(scope="module")
def kinds() -> Iterator[dict[str, type[Strategy[Any]]]]:
    loaded = {name: kind_of(name) for name in PARAMS}
    yield loaded
    for kind in loaded.values():
        unload(kind)


def played(
    kind: type[Strategy[Any]], name: str, rules: AccountRules, changes: frozenset[int]
) -> tuple[list[SignalRecord], tuple[Event, ...], int]:
    """Its signals, what happened to its account, and how many callbacks there were."""
    thread = perform(relay(kind, changes), PARAMS[name], ROWS, rules)
    assert thread.account is not None
    strategy: Any = thread.strategy
    assert changes <= set(range(strategy.calls))
    return thread.signals.kept, thread.account.kept, strategy.calls


@cache
def undisturbed(kind: type[Strategy[Any]], name: str, rules: AccountRules) -> tuple[list[SignalRecord], tuple[Event, ...], int]:
    return played(kind, name, rules, frozenset())


def test_every_shipped_strategy_is_held_to_the_contract() -> None:
    shipped = {one.module.rpartition(".")[2] for one in discover_strategies(repo_root()) if ".examples." in one.module}
    assert set(PARAMS) == shipped


@pytest.mark.parametrize("rules", [SMOOTH, ROUGH], ids=["smooth", "rough"])
@pytest.mark.parametrize("name", PARAMS)
@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(shares=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=6))
def test_strategy_restored_at_any_event_does_what_it_would_have_done(
    kinds: dict[str, type[Strategy[Any]]], name: str, rules: AccountRules, shares: list[float]
) -> None:
    signals, events, calls = undisturbed(kinds[name], name, rules)
    assert len(signals) >= 10
    assert len(events) >= 20
    again = played(kinds[name], name, rules, frozenset(int(share * calls) for share in shares))
    assert again == (signals, events, calls)


@pytest.mark.parametrize("name", PARAMS)
def test_strategy_changed_at_every_event_does_what_it_would_have_done(kinds: dict[str, type[Strategy[Any]]], name: str) -> None:
    signals, events, calls = undisturbed(kinds[name], name, ROUGH)
    whole = frozenset(range(0, calls, 3))
    assert played(kinds[name], name, ROUGH, whole) == (signals, events, calls)


@pytest.mark.parametrize("name", PARAMS)
def test_strategy_given_the_state_of_other_symbols_leaves_them_out(kinds: dict[str, type[Strategy[Any]]], name: str) -> None:
    """A session may have fewer symbols after a restart, or more."""
    wide = perform(kinds[name], PARAMS[name], ROWS)
    state = wide.strategy.save_state()
    narrow = perform(
        kinds[name], {**PARAMS[name], "symbols": ("BBB", "CCC")} | ({"top": 1} if "momentum" in name else {}), ROWS[:6]
    )
    narrow.strategy.restore_state(state)
    narrow.strategy.save_state()
    assert wide.strategy.save_state() == state
