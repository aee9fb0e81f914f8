from __future__ import annotations

import gc
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.core.bus import EventBus
from stratd.errors import ContainerError


@dataclass(frozen=True, slots=True)
class Fill:
    lots: int


@dataclass(frozen=True, slots=True)
class PartialFill(Fill):
    pass


@dataclass(frozen=True, slots=True)
class Closed:
    lots: int


class Interrupt(BaseException):
    """What ends a callback that hangs."""


class Log:
    """Handlers that write down what they were given."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, Any]] = []

    def handler(self, name: str) -> Callable[[Any], None]:
        return lambda event: self.lines.append((name, event))


def test_publish_hands_the_event_to_its_handlers_in_order_of_subscription() -> None:
    bus, log = EventBus(), Log()
    for name in ("portfolio", "risk", "strategy"):
        bus.subscribe(Fill, log.handler(name))

    bus.publish(Fill(3))

    assert log.lines == [("portfolio", Fill(3)), ("risk", Fill(3)), ("strategy", Fill(3))]


def test_publish_goes_by_the_exact_type() -> None:
    bus, log = EventBus(), Log()
    bus.subscribe(Fill, log.handler("fill"))
    bus.subscribe(PartialFill, log.handler("partial"))
    bus.subscribe(object, log.handler("object"))

    bus.publish(PartialFill(1))
    bus.publish(Closed(1))

    assert log.lines == [("partial", PartialFill(1))]


def test_publish_within_a_handler_comes_after_so_that_all_see_one_order() -> None:
    bus, log = EventBus(), Log()

    def closes(fill: Fill) -> None:
        bus.publish(Closed(fill.lots))
        log.lines.append(("first", fill))

    bus.subscribe(Fill, closes)
    bus.subscribe(Closed, log.handler("first"))
    bus.subscribe(Fill, log.handler("second"))
    bus.subscribe(Closed, log.handler("second"))

    bus.publish(Fill(3))

    assert log.lines == [("first", Fill(3)), ("second", Fill(3)), ("first", Closed(3)), ("second", Closed(3))]


@given(st.recursive(st.just(()), lambda inner: st.lists(inner, max_size=3).map(tuple), max_leaves=12))
def test_publish_within_handlers_all_handlers_see_the_order_of_publishing(tree: Any) -> None:
    """Each event is a tree; the first handler publishes its branches. The order is that of a walk level by level."""
    bus = EventBus()
    seen: tuple[list[int], list[int]] = ([], [])

    def first(event: tuple[Any, ...]) -> None:
        seen[0].append(id(event))
        for branch in event:
            bus.publish(branch)

    bus.subscribe(tuple, first)
    bus.subscribe(tuple, lambda event: seen[1].append(id(event)))
    level_by_level = [tree]
    for event in level_by_level:
        level_by_level.extend(event)

    bus.publish(tree)

    assert seen[0] == seen[1] == [id(event) for event in level_by_level]


def test_subscribe_while_an_event_is_handed_out_gets_only_what_is_published_from_then_on() -> None:
    bus, log = EventBus(), Log()

    def late(fill: Fill) -> None:
        bus.publish(Closed(fill.lots))  # nobody listens yet
        if fill.lots == 1:
            bus.subscribe(Fill, log.handler("late"))
            bus.subscribe(Closed, log.handler("late"))

    bus.subscribe(Fill, late)

    bus.publish(Fill(1))
    bus.publish(Fill(2))

    assert log.lines == [("late", Fill(2)), ("late", Closed(2))]


def test_unsubscribe_before_its_turn_gets_nothing_more_not_even_what_is_waiting() -> None:
    bus, log = EventBus(), Log()
    ends: list[Callable[[], None]] = []

    def first(fill: Fill) -> None:
        bus.publish(Closed(1))
        for end in ends:
            end()

    bus.subscribe(Fill, first)
    ends = [bus.subscribe(Fill, log.handler("fill")), bus.subscribe(Closed, log.handler("closed"))]

    bus.publish(Fill(1))
    bus.publish(Fill(2))

    assert log.lines == []


def test_unsubscribe_again_leaves_a_later_subscription_of_the_handler_alone() -> None:
    bus, log = EventBus(), Log()
    handler = log.handler("one")
    end = bus.subscribe(Fill, handler)
    end()
    bus.subscribe(Fill, handler)

    end()
    bus.publish(Fill(1))

    assert log.lines == [("one", Fill(1))]


def test_unsubscribe_leaves_the_others_in_order() -> None:
    bus, log = EventBus(), Log()
    ends = [bus.subscribe(Fill, log.handler(name)) for name in "abc"]

    ends[1]()
    bus.publish(Fill(1))

    assert [name for name, _ in log.lines] == ["a", "c"]


def test_subscribe_same_method_twice_is_refused() -> None:
    class Ledger:
        def on_fill(self, fill: Fill) -> None:
            pass

    bus, ledger, other = EventBus(), Ledger(), Ledger()
    bus.subscribe(Fill, ledger.on_fill)
    bus.subscribe(Fill, other.on_fill)
    bus.subscribe(PartialFill, ledger.on_fill)

    with pytest.raises(ContainerError, match=r"Ledger\.on_fill has subscribed to Fill already"):
        bus.subscribe(Fill, ledger.on_fill)


def test_publish_handler_that_raises_keeps_no_other_from_the_event_and_is_told_at_the_end() -> None:
    bus, log = EventBus(), Log()

    def broken(fill: Fill) -> None:
        bus.publish(Closed(fill.lots))
        raise ValueError("broken")

    def broken_too(closed: Closed) -> None:
        raise KeyError("too")

    bus.subscribe(Fill, broken)
    bus.subscribe(Fill, log.handler("fill"))
    bus.subscribe(Closed, broken_too)
    bus.subscribe(Closed, log.handler("closed"))

    with pytest.raises(ExceptionGroup) as caught:
        bus.publish(Fill(1))

    assert log.lines == [("fill", Fill(1)), ("closed", Closed(1))]
    assert [type(error) for error in caught.value.exceptions] == [ValueError, KeyError]
    assert "broken_too, handling Closed" in caught.value.exceptions[1].__notes__[0]
    with pytest.raises(ExceptionGroup):  # and the bus goes on
        bus.publish(Fill(2))
    assert log.lines[2:] == [("fill", Fill(2)), ("closed", Closed(2))]


def test_publish_on_error_is_told_instead() -> None:
    told: list[tuple[Any, Exception]] = []
    bus, log = EventBus(lambda event, error: told.append((event, error))), Log()
    failure = ValueError("broken")

    def broken(fill: Fill) -> None:
        raise failure

    bus.subscribe(Fill, broken)
    bus.subscribe(Fill, log.handler("fill"))

    bus.publish(Fill(1))

    assert told == [(Fill(1), failure)]
    assert log.lines == [("fill", Fill(1))]


def test_publish_on_error_that_raises_is_not_lost_and_holds_nobody_up() -> None:
    def refuse(event: Any, error: Exception) -> None:
        raise RuntimeError("cannot write the log")

    bus, log = EventBus(refuse), Log()

    def broken(fill: Fill) -> None:
        raise ValueError("broken")

    bus.subscribe(Fill, broken)
    bus.subscribe(Fill, log.handler("fill"))

    with pytest.raises(ExceptionGroup) as caught:
        bus.publish(Fill(1))

    (error,) = caught.value.exceptions
    assert isinstance(error, RuntimeError)
    assert isinstance(error.__context__, ValueError)
    assert log.lines == [("fill", Fill(1))]


@pytest.mark.parametrize("by", ["deliver", "publish"])
def test_publish_interrupt_comes_through_at_once_and_what_is_left_comes_first_later(by: str) -> None:
    bus, log = EventBus(), Log()

    def hangs(fill: Fill) -> None:
        log.lines.append(("hangs", fill))
        bus.publish(Closed(1))
        if fill.lots == 1:
            raise Interrupt

    bus.subscribe(Fill, hangs)
    bus.subscribe(Fill, log.handler("ledger"))
    bus.subscribe(Closed, log.handler("ledger"))

    with pytest.raises(Interrupt):
        bus.publish(Fill(1))
    assert log.lines == [("hangs", Fill(1))]

    if by == "deliver":
        bus.deliver()
    else:
        bus.publish(Closed(2))

    rest = [("ledger", Fill(1)), ("ledger", Closed(1))]
    assert log.lines[1:] == (rest if by == "deliver" else [*rest, ("ledger", Closed(2))])
    bus.deliver()
    assert log.lines[3:] == ([] if by == "deliver" else [("ledger", Closed(2))])


def test_publish_interrupt_after_an_error_brings_the_error_along() -> None:
    bus = EventBus()

    def broken(fill: Fill) -> None:
        raise ValueError("broken")

    def hangs(fill: Fill) -> None:
        raise Interrupt

    bus.subscribe(Fill, broken)
    bus.subscribe(Fill, hangs)

    with pytest.raises(Interrupt) as caught:
        bus.publish(Fill(1))

    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert [str(error) for error in caught.value.__cause__.exceptions] == ["broken"]


def test_deliver_with_nothing_left_does_nothing() -> None:
    bus, log = EventBus(), Log()
    bus.deliver()
    bus.subscribe(Fill, log.handler("fill"))
    bus.deliver()
    assert log.lines == []


def test_publish_nobody_listens_allocates_nothing() -> None:
    bus, event = EventBus(), Fill(1)
    bus.subscribe(Fill, print)()
    bus.publish(event)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(100):
            bus.publish(event)
        assert tracemalloc.get_traced_memory()[0] - before < 100
    finally:
        tracemalloc.stop()


def test_bus_after_handing_out_holds_neither_event_nor_queue() -> None:
    bus = EventBus()
    event = Fill(1)
    count = sys.getrefcount(event)
    bus.subscribe(Fill, Log().handler("fill"))()
    bus.subscribe(Fill, lambda fill: None)

    bus.publish(event)

    assert sys.getrefcount(event) == count
    assert bus._waiting is None
