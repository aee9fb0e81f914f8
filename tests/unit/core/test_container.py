from __future__ import annotations

import copy
import gc
import subprocess
import sys
import tracemalloc
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from stratd.core.container import ScopedContainer, SharedServices
from stratd.core.states import State
from stratd.errors import ContainerError, ReadOnlyService, StrategySetupError

from ...support.paths import repo_root


class Interrupt(BaseException):
    """What ends a component that hangs."""


class Ledger:
    pass


class Broker:
    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger


class History(Protocol):
    """What strategies may ask of the history."""

    length: int

    def bars(self, symbol: str) -> list[float]: ...

    @property
    def symbols(self) -> list[str]: ...


class Files:
    """A history, with more than its protocol shows."""

    def __init__(self) -> None:
        self.length = 2
        self.path = "/data"
        self._open = True

    def bars(self, symbol: str) -> list[float]:
        return [1.0] * self.length

    @property
    def symbols(self) -> list[str]:
        return ["SPY"]

    def delete(self) -> None:
        self.length = 0


class Building:
    """Makes components that are words, and writes down what happens to them."""

    def __init__(self, container: ScopedContainer) -> None:
        self.container = container
        self.lines: list[str] = []

    def provide(self, name: str, *needs: str, raises: BaseException | None = None, at_close: BaseException | None = None) -> None:
        def make(*given: str) -> str:
            if raises is not None:
                raise raises
            self.lines.append(f"{name}({', '.join(given)})")
            return name

        def close(component: str) -> None:
            self.lines.append(f"close {component}")
            if at_close is not None:
                raise at_close

        self.container.provide(name, make, needs, close)


@pytest.fixture
def container() -> Iterator[ScopedContainer]:
    made = ScopedContainer("alpha")
    yield made
    made.close()


@pytest.fixture
def building(container: ScopedContainer) -> Building:
    return Building(container)


# Building.


def test_open_builds_in_the_order_of_needs_and_hands_them_over(building: Building) -> None:
    building.provide("strategy", "broker", "risk")
    building.provide("broker", "risk", "portfolio")
    building.provide("risk", "portfolio")
    building.provide("portfolio")

    building.container.open()

    assert building.lines == ["portfolio()", "risk(portfolio)", "broker(risk, portfolio)", "strategy(broker, risk)"]
    assert building.container.state is State.RUNNING


@given(st.permutations(range(7)), st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_open_and_close_any_needs_come_before_and_end_after(declared: list[int], edges: set[tuple[int, int]]) -> None:
    needs = {str(i): [str(low) for low, high in sorted(edges) if low < high and high == i] for i in range(7)}
    container = ScopedContainer("alpha")
    building = Building(container)
    for i in declared:
        building.provide(str(i), *needs[str(i)])

    container.open()
    container.close()

    built = [line.partition("(")[0] for line in building.lines[:7]]
    assert sorted(built) == sorted(needs)
    assert all(built.index(need) < built.index(name) for name in needs for need in needs[name])
    assert building.lines[7:] == [f"close {name}" for name in reversed(built)]


def test_get_by_class_and_by_word_is_the_component(container: ScopedContainer) -> None:
    container.provide(Broker, Broker, (Ledger,))
    container.provide(Ledger, Ledger)
    container.provide("word", lambda broker: [broker], (Broker,))
    container.open()

    broker = container.get(Broker)

    assert broker.ledger is container.get(Ledger)
    assert container.get("word") == [broker]


def test_open_circle_is_refused_naming_the_path(building: Building) -> None:
    building.provide("strategy", "broker")
    building.provide("broker", "risk")
    building.provide("risk", "portfolio", "broker")
    building.provide("portfolio")

    with pytest.raises(ContainerError, match=r"container 'alpha': .* circle: (broker → risk → broker|risk → broker → risk) \("):
        building.container.open()

    assert building.lines == []
    assert building.container.state is State.READY


def test_open_circle_of_three_says_who_needs_whom(building: Building) -> None:
    for name, need in (("a", "b"), ("b", "c"), ("c", "a")):
        building.provide(name, need)

    with pytest.raises(ContainerError) as caught:
        building.container.open()

    assert any(path in str(caught.value) for path in ("a → b → c → a", "b → c → a → b", "c → a → b → c"))


def test_open_component_that_needs_itself_is_a_circle(building: Building) -> None:
    building.provide("risk", "risk")
    with pytest.raises(ContainerError, match="circle: risk → risk"):
        building.container.open()


def test_open_unmet_needs_are_refused_all_at_once_naming_the_paths(building: Building) -> None:
    building.provide("strategy", "broker")
    building.provide("broker", "portfolios")
    building.provide("portfolio", "clock")

    with pytest.raises(ContainerError) as caught:
        building.container.open()

    text = str(caught.value)
    assert "broker needs portfolios, which is neither provided nor shared (strategy → broker → portfolios)" in text
    assert "did you mean portfolio?" in text
    assert "portfolio needs clock, which is neither provided nor shared (portfolio → clock)" in text
    assert building.lines == []


def test_open_unmet_need_can_be_provided_then(building: Building) -> None:
    building.provide("broker", "portfolio")
    with pytest.raises(ContainerError):
        building.container.open()

    building.provide("portfolio")
    building.container.open()

    assert building.lines == ["portfolio()", "broker(portfolio)"]


def test_provide_twice_is_refused(building: Building) -> None:
    building.provide("risk")
    with pytest.raises(ContainerError, match="risk is provided twice"):
        building.provide("risk")


@pytest.mark.parametrize("closed", [False, True])
def test_provide_or_open_after_open_is_refused(building: Building, closed: bool) -> None:
    building.container.open()
    if closed:
        building.container.close()

    with pytest.raises(ContainerError, match="risk comes too late"):
        building.provide("risk")
    with pytest.raises(ContainerError, match=f"is {'STOPPED' if closed else 'RUNNING'} and can be opened only once"):
        building.container.open()


def test_open_that_fails_half_way_closes_what_was_built_and_its_error_comes_through(building: Building) -> None:
    building.provide("a")
    building.provide("b", "a", at_close=OSError("disk is gone"))
    building.provide("c", "b", raises=StrategySetupError("alpha", "no"))
    building.provide("d", "c")

    with pytest.raises(StrategySetupError) as caught:
        building.container.open()

    assert building.lines == ["a()", "b(a)", "close b", "close a"]
    assert caught.value.__notes__ == [
        "container 'alpha': while building c",
        "container 'alpha': then b failed to close: OSError: disk is gone",
    ]
    assert building.container.state is State.STOPPED


def test_open_interrupted_closes_what_was_built(building: Building) -> None:
    building.provide("a")
    building.provide("b", "a", raises=Interrupt())

    with pytest.raises(Interrupt):
        building.container.open()

    assert building.lines == ["a()", "close a"]


def test_open_interrupted_while_closing_after_a_failure_closes_the_rest_and_is_interrupted(building: Building) -> None:
    failure = ValueError("no")
    building.provide("a")
    building.provide("b", "a", at_close=Interrupt())
    building.provide("c", "b", raises=failure)

    with pytest.raises(Interrupt) as caught:
        building.container.open()

    assert building.lines[2:] == ["close b", "close a"]
    assert caught.value.__cause__ is failure


# Lookup.


def test_get_of_what_is_not_there_says_what_is(container: ScopedContainer) -> None:
    container.provide(Ledger, Ledger)
    container.open()
    with pytest.raises(ContainerError, match=r"container 'alpha': there is no ledger; did you mean Ledger\?; there are: Ledger"):
        container.get("ledger")


def test_get_before_open_and_after_close_is_refused(building: Building) -> None:
    building.provide("risk")
    with pytest.raises(ContainerError, match="is READY, so it has no risk to give"):
        building.container.get("risk")
    building.container.open()
    building.container.close()
    with pytest.raises(ContainerError, match="is STOPPED"):
        building.container.get("risk")


def test_get_by_a_component_that_is_being_built_is_refused(container: ScopedContainer) -> None:
    container.provide("a", lambda: 1)
    container.provide("b", lambda a: container.get("a"), ("a",))
    with pytest.raises(ContainerError, match="what wants a names it in `needs`"):
        container.open()


def test_get_local_comes_before_shared() -> None:
    files = Files()
    shared = SharedServices({History: files, Files: files})
    own = Files()
    container = ScopedContainer("alpha", shared)
    container.provide(History, lambda: own)
    container.provide("both", lambda *given: given, (History, Files))
    with container:
        assert container.get(History) is own
        assert container.get(Files) is shared[Files]
        assert container.get("both") == (own, shared[Files])


def test_get_while_closing_gives_what_is_still_open_and_never_a_shared_one_in_its_place() -> None:
    container = ScopedContainer("alpha", SharedServices({"risk": Files()}, {"risk": History}))
    found: list[Any] = []

    def look(component: str) -> None:
        found.append(container.get("portfolio"))
        for gone in ("risk", "strategy"):
            with pytest.raises(ContainerError, match=f"{gone} is closed already"):
                container.get(gone)

    container.provide("portfolio", lambda: "portfolio")
    container.provide("broker", lambda portfolio: "broker", ("portfolio",), look)
    container.provide("risk", lambda broker: "own risk", ("broker",))
    container.provide("strategy", lambda risk: "strategy", ("risk",))
    container.open()

    container.close()

    assert found == ["portfolio"]


# Closing.


def test_close_goes_on_when_components_fail_and_tells_them_all(building: Building) -> None:
    building.provide("a", at_close=OSError("disk is gone"))
    building.provide("b", "a")
    building.provide("c", "b", at_close=ValueError("c is broken"))
    building.container.open()

    with pytest.raises(ContainerError) as caught:
        building.container.close()

    assert building.lines[3:] == ["close c", "close b", "close a"]
    assert str(caught.value) == (
        "container 'alpha': 2 of its components failed to close, all others are closed: "
        "c (ValueError: c is broken); a (OSError: disk is gone)"
    )
    assert [type(error) for error in caught.value.errors] == [ValueError, OSError]
    assert isinstance(caught.value.__cause__, ExceptionGroup)
    assert building.container.state is State.STOPPED


def test_close_again_does_nothing(building: Building) -> None:
    building.provide("a", at_close=OSError("disk is gone"))
    building.container.open()
    with pytest.raises(ContainerError):
        building.container.close()

    building.container.close()

    assert building.lines == ["a()", "close a"]


def test_close_by_a_component_that_is_being_closed_does_nothing(container: ScopedContainer) -> None:
    lines: list[str] = []

    def close(component: str) -> None:
        container.close()
        lines.append(component)

    container.provide("a", lambda: "a", (), close)
    container.provide("b", lambda a: "b", ("a",), close)
    container.open()

    container.close()

    assert lines == ["b", "a"]


def test_close_by_a_component_that_is_being_built_is_refused(container: ScopedContainer) -> None:
    container.provide("a", container.close)
    with pytest.raises(ContainerError, match="cannot be closed by a component that it builds"):
        container.open()
    assert container.state is State.STOPPED


def test_close_interrupted_closes_the_rest_and_is_interrupted(building: Building) -> None:
    interrupt = Interrupt()
    building.provide("a", at_close=OSError("disk is gone"))
    building.provide("b", "a", at_close=interrupt)
    building.provide("c", "b", at_close=Interrupt())
    building.provide("d", "c")
    building.container.open()

    with pytest.raises(Interrupt) as caught:
        building.container.close()

    assert building.lines[4:] == ["close d", "close c", "close b", "close a"]
    assert caught.value is not interrupt
    assert isinstance(caught.value.__cause__, ContainerError)


def test_close_lets_go_of_components_and_of_what_was_declared() -> None:
    class Thing:
        alive = 0

        def __init__(self) -> None:
            Thing.alive += 1

        def __del__(self) -> None:
            Thing.alive -= 1

    made = Thing()
    container = ScopedContainer("alpha")
    container.provide("thing", Thing)
    container.provide("other", lambda thing, kept=made: None, ("thing",))
    del made
    container.open()
    assert Thing.alive == 1  # the factory and what it kept are gone

    container.close()

    assert Thing.alive == 0


def test_close_before_open_is_the_end_of_it(building: Building) -> None:
    building.provide("a")
    building.container.close()
    with pytest.raises(ContainerError, match="is STOPPED"):
        building.container.open()
    assert building.lines == []


def test_with_block_that_raises_keeps_its_error_and_says_what_failed_to_close(building: Building) -> None:
    building.provide("a", at_close=OSError("disk is gone"))

    with pytest.raises(KeyError) as caught, building.container:
        raise KeyError("body")

    assert "a (OSError: disk is gone)" in caught.value.__notes__[0]


def test_with_block_closing_that_fails_is_told(building: Building) -> None:
    building.provide("a", at_close=OSError("disk is gone"))
    with pytest.raises(ContainerError, match="disk is gone"), building.container:
        pass


# Leaks.


def lost(prepare: Callable[[ScopedContainer], object]) -> list[str]:
    """What is warned of when a container is lost."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        made = ScopedContainer("alpha")
        made.provide(Ledger, Ledger)
        prepare(made)
        del made
        gc.collect()
    assert all(one.category is ResourceWarning for one in caught)
    return [str(one.message) for one in caught]


def test_container_lost_without_close_is_warned_of_by_name() -> None:
    assert lost(ScopedContainer.open) == ["container 'alpha' was never closed (it holds Ledger)"]


def test_container_lost_in_a_circle_is_warned_of_when_collected() -> None:
    def prepare(container: ScopedContainer) -> None:
        container.provide("itself", lambda: container)
        container.open()

    assert lost(prepare) == ["container 'alpha' was never closed (it holds Ledger, itself)"]


@pytest.mark.parametrize(
    "prepare", [lambda container: None, lambda container: (container.open(), container.close())], ids=["never opened", "closed"]
)
def test_container_lost_when_it_holds_nothing_is_no_matter(prepare: Any) -> None:
    assert lost(prepare) == []


def test_container_lost_after_open_failed_is_no_matter() -> None:
    def prepare(container: ScopedContainer) -> None:
        container.provide("bad", lambda: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            container.open()

    assert lost(prepare) == []


def test_container_made_with_wrong_arguments_is_an_ordinary_type_error() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TypeError):
            ScopedContainer()  # type: ignore[call-arg]
        gc.collect()


def test_container_leaked_by_a_test_fails_that_test(tmp_path: Path) -> None:
    """With the project's own settings of pytest, and nothing else."""
    (tmp_path / "test_leak.py").write_text(
        "from stratd.core.container import ScopedContainer\n"
        "def test_leaks() -> None:\n"
        "    ScopedContainer('alpha').open()\n"
        "def test_closes() -> None:\n"
        "    with ScopedContainer('beta'):\n"
        "        pass\n"
    )
    words = ["-m", "pytest", "-c", str(repo_root() / "pyproject.toml"), "--rootdir", str(tmp_path), "-p", "no:hypothesispytest"]
    done = subprocess.run([sys.executable, *words, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "container 'alpha' was never closed" in done.stdout, done.stdout + done.stderr
    assert "FAILED test_leak.py::test_leaks" in done.stdout
    assert "1 failed, 1 passed" in done.stdout


# Shared services.


@pytest.fixture
def files() -> Files:
    return Files()


@pytest.fixture
def view(files: Files) -> Any:
    return SharedServices({History: files})[History]


def test_view_shows_methods_and_attributes_of_the_protocol_as_they_are_now(view: Any, files: Files) -> None:
    assert (view.length, view.bars("SPY")) == (2, [1.0, 1.0])
    files.length = 3
    assert (view.length, view.bars("SPY")) == (3, [1.0, 1.0, 1.0])


@pytest.mark.parametrize("name", ["path", "delete", "_open", "service", "_service", "__dict__", "__wrapped__"])
def test_view_shows_nothing_else(view: Any, name: str) -> None:
    assert not hasattr(view, name)
    with pytest.raises(ReadOnlyService, match=f"shared service History: does not show '{name}'.*it shows: bars, length, symbols"):
        getattr(view, name)


def test_view_near_miss_says_what_was_meant(view: Any) -> None:
    with pytest.raises(ReadOnlyService, match=r"does not show 'lenght'; did you mean 'length'\?"):
        _ = view.lenght


@pytest.mark.parametrize("name", ["length", "path", "bars", "symbols", "new", "_subject", "__class__"])
def test_view_attributes_cannot_be_set_or_deleted(view: Any, files: Files, name: str) -> None:
    before = dict(vars(files))
    with pytest.raises(ReadOnlyService, match=f"History: is shared .* read-only: attribute '{name}' cannot be set"):
        setattr(view, name, 1)
    with pytest.raises(ReadOnlyService, match=f"attribute '{name}' cannot be deleted"):
        delattr(view, name)
    with pytest.raises(AttributeError):
        object.__setattr__(view, "length", 1)
    assert vars(files) == before


def test_view_items_cannot_be_set_or_deleted(view: Any) -> None:
    with pytest.raises(ReadOnlyService, match="item 'SPY' cannot be set"):
        view["SPY"] = 1
    with pytest.raises(ReadOnlyService, match="item 'SPY' cannot be deleted"):
        del view["SPY"]


def test_view_in_place_operation_is_refused(view: Any, files: Files) -> None:
    with pytest.raises(ReadOnlyService):
        view.length += 1
    assert files.length == 2


def test_view_of_dict_list_and_set_cannot_be_written_through() -> None:
    @dataclass
    class Config:
        limits: dict[str, int] = field(default_factory=lambda: {"SPY": 1})
        symbols: list[str] = field(default_factory=lambda: ["SPY"])
        halted: set[str] = field(default_factory=lambda: {"QQQ"})

    config = Config()
    view = SharedServices({Config: config})[Config]

    with pytest.raises(TypeError):
        view.limits["SPY"] = 2
    assert (dict(view.limits), view.symbols, view.halted) == ({"SPY": 1}, ("SPY",), frozenset({"QQQ"}))
    config.limits["SPY"] = 3
    config.symbols.append("QQQ")
    assert (view.limits["SPY"], view.symbols) == (3, ("SPY", "QQQ"))


def test_view_of_a_pydantic_model_shows_its_fields() -> None:
    class Base(BaseModel):
        window: int = 4096

    class Config(Base):
        name: str = "demo"

    view = SharedServices({Config: Config(window=1)})[Config]

    assert (view.window, view.name) == (1, "demo")
    with pytest.raises(ReadOnlyService):
        view.window = 2


def test_view_attribute_error_of_the_service_itself_comes_through() -> None:
    class Service:
        @property
        def broken(self) -> int:
            return self.nowhere  # type: ignore[attr-defined, no-any-return]

    view = SharedServices({Service: Service()})[Service]
    with pytest.raises(AttributeError, match="'Service' object has no attribute 'nowhere'") as caught:
        _ = view.broken
    assert not isinstance(caught.value, ReadOnlyService)


def test_view_passes_for_its_protocol() -> None:
    @runtime_checkable
    class Named(Protocol):
        def bars(self, symbol: str) -> list[float]: ...

    view = SharedServices({Named: Files()})[Named]

    assert isinstance(view, Named)
    assert not isinstance(view, Files)
    assert repr(view) == f"<shared service {Named.__qualname__}, read-only>"


def test_view_is_one_for_all_containers_and_its_copies_are_views(view: Any) -> None:
    shared = SharedServices({History: Files()})
    with ScopedContainer("alpha", shared) as first, ScopedContainer("beta", shared) as second:
        assert first.get(History) is second.get(History) is shared[History]
    with pytest.raises(ReadOnlyService):
        copy.deepcopy(view).length = 3


def test_shared_services_cannot_be_added_to() -> None:
    shared: Any = SharedServices({History: Files()})
    with pytest.raises(TypeError):
        shared[Ledger] = Ledger()
    assert list(shared) == [History]
    assert len(shared) == 1


def test_shared_service_under_a_word_needs_a_protocol() -> None:
    with pytest.raises(ContainerError, match="shared service 'history': has no protocol"):
        SharedServices({"history": Files()})
    assert SharedServices({"history": Files()}, {"history": History})["history"].length == 2


def test_shared_service_protocol_for_no_service_is_refused() -> None:
    with pytest.raises(ContainerError, match="there is a protocol for histroy, but no such service"):
        SharedServices({History: Files()}, {"histroy": History})


def test_shared_service_that_lacks_a_name_of_its_protocol_is_refused() -> None:
    class Half:
        length = 1

    with pytest.raises(ContainerError, match="shared service History: .*Half lacks bars, symbols of History"):
        SharedServices({History: Half()})


# Memory.


def test_container_idle_with_five_components_takes_less_than_2_kib() -> None:
    class Component:
        __slots__ = ("count", "needs")

        def __init__(self, *needs: object) -> None:
            self.needs = needs
            self.count = 0

    def make(number: int) -> ScopedContainer:
        container = ScopedContainer(f"strategy_{number}")
        for i in range(5):
            container.provide(str(i), Component, [str(low) for low in range(i)], Component.__repr__)
        container.open()
        return container

    count = 100
    kept = [make(0)] * (count + 1)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        for i in range(count):
            kept[i] = make(i)
        bytes_each = (tracemalloc.get_traced_memory()[0] - before) / count
    finally:
        tracemalloc.stop()
    for one in kept:
        one.close()

    assert bytes_each <= 2048
