"""EventBus: how the components of one container tell each other what happened."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

from stratd.errors import ContainerError

E = TypeVar("E")


class Subscription:
    """One handler of one type of event. Call it to unsubscribe; again does nothing."""

    __slots__ = ("_bus", "_event_type", "handler")

    def __init__(self, bus: EventBus, event_type: type, handler: Callable[[Any], object]) -> None:
        self.handler: Callable[[Any], object] | None = handler
        self._bus = bus
        self._event_type = event_type

    def __call__(self) -> None:
        if self.handler is not None:
            self.handler = None
            self._bus._remove(self._event_type, self)


class EventBus:
    """Hands every published event to the handlers of exactly its type, at once, in the order in which they subscribed.

    What a handler publishes waits until the event at hand has reached all its handlers, so that all see events in
    the same order. An event goes to those who were subscribed when it was published and still are when their turn comes.
    The error of a handler keeps no other from getting the event. While nobody listens the bus holds nothing, and publishing is one
    comparison.

    Thread safety: none, and none is needed. One thread subscribes and publishes: the container's.

    Args:
        on_error: told of every event and what a handler raised at it. None: the outermost `publish` raises them all at its end.
    """

    __slots__ = ("_delivering", "_on_error", "_subscribed", "_waiting")

    def __init__(self, on_error: Callable[[Any, Exception], object] | None = None) -> None:
        self._on_error = on_error
        self._subscribed: dict[type, tuple[Subscription, ...]] | None = None
        # Dropped as soon as it is empty: an empty deque takes 0.6 KiB.
        self._waiting: deque[tuple[Subscription, Any]] | None = None
        self._delivering = False

    def subscribe(self, event_type: type[E], handler: Callable[[E], object]) -> Callable[[], None]:
        """Have `handler` called with every event of exactly this type; subclasses are other types.

        Returns:
            What to call to unsubscribe.

        Raises:
            ContainerError: the handler has subscribed to this type already; twice would count every fill twice.
        """
        if self._subscribed is None:
            self._subscribed = {}
        present = self._subscribed.get(event_type, ())
        if any(one.handler == handler for one in present):
            raise ContainerError("event bus", f"{_named(handler)} has subscribed to {event_type.__qualname__} already")
        subscription = Subscription(self, event_type, handler)
        self._subscribed[event_type] = (*present, subscription)
        return subscription

    def listened(self) -> tuple[type, ...]:
        """Types that somebody has subscribed to."""
        return tuple(self._subscribed or ())

    def publish(self, event: object) -> None:
        """Hand an event to its handlers. From within a handler: after what is being handed out now.

        Raises:
            ExceptionGroup: what handlers raised (where there is no `on_error`), or what `on_error` did, when all is handed out.
                A handler that publishes does not get the errors of that event: the outermost `publish` does.
            BaseException: an interrupt (KeyboardInterrupt and the like) comes through at once. What was still to be handed
                out stays, and comes first in the next delivery: call `deliver` to have it now. The handler that was interrupted is
                not called with that event again: half a fill counted is no reason to count it one and a half times.
        """
        if self._subscribed is None:
            return
        handlers = self._subscribed.get(type(event))
        if handlers is None:
            return
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.extend([(one, event) for one in handlers])
        self.deliver()

    def deliver(self) -> None:
        """Hand out what an interrupt has left. Within a handler, and where nothing is left, it does nothing.

        Raises:
            ExceptionGroup, BaseException: as `publish`.
        """
        waiting = self._waiting
        if self._delivering or waiting is None:
            return
        failed: list[Exception] = []
        self._delivering = True
        try:
            while waiting:
                subscription, event = waiting.popleft()
                handler = subscription.handler
                if handler is None:
                    continue
                try:
                    handler(event)
                except Exception as error:  # whose it is is not the bus's to judge: the other handlers come first
                    self._failed(handler, event, error, failed)
        except BaseException as interrupt:
            if failed:
                raise interrupt from _group(failed)
            raise
        finally:
            self._delivering = False
            if not waiting:
                self._waiting = None
        if failed:
            raise _group(failed)

    def _failed(self, handler: Callable[[Any], object], event: object, error: Exception, failed: list[Exception]) -> None:
        error.add_note(f"event bus: in {_named(handler)}, handling {type(event).__qualname__}")
        if self._on_error is None:
            failed.append(error)
            return
        try:
            self._on_error(event, error)
        except Exception as second:  # its context is the handler's error
            failed.append(second)

    def _remove(self, event_type: type, subscription: Subscription) -> None:
        present = self._subscribed
        if present is None:
            return
        left = tuple(one for one in present[event_type] if one is not subscription)
        if left:
            present[event_type] = left
            return
        del present[event_type]
        if not present:
            self._subscribed = None


def _named(handler: Callable[[Any], object]) -> str:
    return getattr(handler, "__qualname__", type(handler).__qualname__)


def _group(failed: list[Exception]) -> ExceptionGroup[Exception]:
    return ExceptionGroup("handlers of events failed", failed)
