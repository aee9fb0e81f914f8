"""Memory of an idle ScopedContainer, one per strategy: at most 2 KiB.

Measured with tracemalloc over 1,000 open containers: bytes allocated, divided by their number. Each has five small slotted
components in a chain of needs, the first of them an event bus that three others listen to (a second time: that nobody does); components
and names are counted in. Shared services, classes and factories are made before measuring starts. The baseline is the same
components, built by hand and kept in a dict.

    python bench/containers.py
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import support

COUNT = 1_000
TARGET_BYTES = 2_048


def measure(count: int) -> list[support.Claim]:
    """Containers whose bus has listeners, and those whose bus has none."""
    from stratd.core.bus import EventBus
    from stratd.core.container import ScopedContainer, SharedServices

    class Event:
        """What components listen to."""

    class Config:
        """A shared service."""

        window = 4096

    class Component:
        """As small as they come: what it needs, and one field."""

        __slots__ = ("count", "needs")

        def __init__(self, *needs: object) -> None:
            self.needs = needs
            self.count = 0

        def on_event(self, event: Event) -> None:
            """Count it."""
            self.count += 1

        def close(self) -> None:
            """Forget what it needs."""
            self.needs = ()

    class Listener(Component):
        """One that listens."""

        __slots__ = ()

        def __init__(self, bus: EventBus, *needs: object) -> None:
            super().__init__(bus, *needs)
            bus.subscribe(Event, self.on_event)

    shared = SharedServices({Config: Config()})

    def container(part: type[Component], number: int) -> ScopedContainer:
        made = ScopedContainer(f"strategy_{number}", shared)
        made.provide(EventBus, EventBus)
        made.provide("portfolio", part, (EventBus,), part.close)
        made.provide("risk", part, (EventBus, "portfolio", Config), part.close)
        made.provide("broker", part, (EventBus, "portfolio", "risk"), part.close)
        made.provide("strategy", Component, ("broker",), Component.close)
        made.open()
        return made

    def by_hand(part: type[Component], number: int) -> object:
        bus = EventBus()
        portfolio = part(bus)
        risk = part(bus, portfolio, shared[Config])
        broker = part(bus, portfolio, risk)
        held = {"bus": bus, "portfolio": portfolio, "risk": risk, "broker": broker, "strategy": Component(broker)}
        return (f"strategy_{number}", held)

    def line(name: str, part: type[Component]) -> support.Claim:
        value = bytes_each(lambda number: container(part, number), count, ScopedContainer.close)
        baseline = bytes_each(lambda number: by_hand(part, number), count)
        return support.Claim(claim=name, value=value, unit="bytes", target=TARGET_BYTES, baseline=baseline)

    return [line("containers_bytes_idle", Listener), line("containers_bytes_nobody_listens", Component)]


def bytes_each(make: Callable[[int], Any], count: int, end: Callable[[Any], object] = id) -> float:
    """Bytes that one object of `make` takes. `end` is called with each afterwards."""
    kept: list[Any] = [None] * (count + 1)
    kept[-1] = make(0)  # whatever the first one sets up for all
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for i in range(count):
            kept[i] = make(i)
        return (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()
        for one in kept:
            end(one)


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    support.report(measure(50 if options.short else COUNT))


if __name__ == "__main__":
    main()
