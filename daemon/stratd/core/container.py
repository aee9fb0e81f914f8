"""ScopedContainer: what one strategy owns, built and closed in the order of needs. SharedServices: what all may only read."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from graphlib import CycleError, TopologicalSorter
from types import MappingProxyType, TracebackType
from typing import Any, ClassVar, Final, Generic, NamedTuple, Protocol, Self, TypeVar, overload

from stratd.core.names import nearest
from stratd.core.states import State
from stratd.errors import ContainerError, ReadOnlyService

T = TypeVar("T")
Key = type | str
_NO_PROTOCOLS: Final[Mapping[Key, type]] = MappingProxyType({})
_NOWHERE: Final = object()


def _name(key: Key) -> str:
    return key if isinstance(key, str) else key.__qualname__


class _Declared(NamedTuple):
    factory: Callable[..., Any]
    needs: tuple[Key, ...]
    close: Callable[[Any], object] | None


class ScopedContainer:
    """Holds one strategy's components: builds them in the order of what they need, closes them in reverse.

    Components are known by a key: the class or protocol that they are used as, or a word. What was said to `provide` is
    forgotten once everything is built. A container that was opened and is lost without `close` gives a ResourceWarning.

    Thread safety: none, and none is needed. One thread owns a container and everything in it.

    Args:
        name: of the strategy; in all messages.
        shared: what the container finds where it has no component of its own.

    Attributes:
        state: READY, STARTING, RUNNING, STOPPING or STOPPED.
    """

    __slots__ = ("__weakref__", "_closers", "_components", "_declared", "_keys", "_shared", "name", "state")

    def __init__(self, name: str, shared: SharedServices | None = None) -> None:
        self.name = name
        self.state = State.READY
        self._shared = shared
        self._declared: dict[Key, _Declared] | None = {}
        # In the order of building. Components are those that are there now: the first of the keys.
        self._keys: tuple[Key, ...] = ()
        self._closers: tuple[Callable[[Any], object] | None, ...] = ()
        self._components: list[Any] = []

    def provide(
        self,
        key: Key,
        factory: Callable[..., Any],
        needs: Sequence[Key] = (),
        close: Callable[[Any], object] | None = None,
    ) -> None:
        """Declare a component. One with the key of a shared service hides that service.

        Args:
            factory: makes the component; called with what it needs, in the order of `needs`.
            needs: keys of other components or of shared services.
            close: called with the component when the container is closed.

        Raises:
            ContainerError: the key is taken, or the container has been opened.
        """
        if self._declared is None:
            raise self._error(f"{_name(key)} comes too late: provide everything before open")
        if key in self._declared:
            raise self._error(f"{_name(key)} is provided twice")
        self._declared[key] = _Declared(factory, tuple(needs), close)

    def open(self) -> None:
        """Build all components.

        If one cannot be built, those that were are closed again and its error comes through, with a note of where it
        happened and of every component that failed to close.

        Raises:
            ContainerError: a need is not met, components need each other in a circle, or the container was opened before.
        """
        declared = self._declared
        if declared is None:
            raise self._error(f"is {self.state} and can be opened only once: make a new one")
        self._keys = self._in_order(declared)
        self._closers = tuple(declared[key].close for key in self._keys)
        self._declared = None
        self.state = State.STARTING
        try:
            for key in self._keys:
                self._components.append(declared[key].factory(*map(self._find, declared[key].needs)))
        except BaseException as error:
            error.add_note(f"container {self.name!r}: while building {_name(self._keys[len(self._components)])}")
            failed, interrupt = self._close_components()
            for key, one in failed:
                error.add_note(f"container {self.name!r}: then {_name(key)} failed to close: {type(one).__name__}: {one}")
            if interrupt is not None:
                raise interrupt from error
            raise
        self.state = State.RUNNING

    @overload
    def get(self, key: str) -> Any: ...
    @overload
    def get(self, key: Callable[..., T]) -> T: ...  # not type[T]: that one does not take protocols
    def get(self, key: Any) -> Any:
        """The component of this key, else the read-only view of the shared service of this key.

        Raises:
            ContainerError: there is neither, the component is closed already, or the container is not open. Nor is it while it
                is being opened: a need that a factory did not declare would be met or not by chance, and closed too early.
        """
        if self.state is State.STARTING:
            raise self._error(f"is being opened: what wants {_name(key)} names it in `needs`")
        return self._find(key)

    def close(self) -> None:
        """Close all components, the last one built first. Goes on when one fails. Closing again does nothing.

        Raises:
            ContainerError: components failed to close; `errors` has what they raised, in order. All others are closed.
            BaseException: the first interrupt (KeyboardInterrupt and the like) that came meanwhile, also after the last is closed.
        """
        if self.state is State.STARTING:
            raise self._error("is being opened, and cannot be closed by a component that it builds")
        if self.state in (State.STOPPING, State.STOPPED):
            return
        failed, interrupt = self._close_components()
        problem = None
        if failed:
            told = "; ".join(f"{_name(key)} ({type(error).__name__}: {error})" for key, error in failed)
            errors = tuple(error for _, error in failed)
            problem = self._error(f"{len(failed)} of its components failed to close, all others are closed: {told}", errors)
            problem.__cause__ = ExceptionGroup(f"closing container {self.name!r}", errors)
        if interrupt is not None:
            raise interrupt from problem
        if problem is not None:
            raise problem

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        try:
            self.close()
        except ContainerError as problem:
            if error is None:
                raise
            # Why the block ended matters more than what followed from it.
            error.add_note(str(problem))

    def __del__(self, _warn: Callable[..., None] = warnings.warn) -> None:
        # Only said, not closed: the collector runs in any thread, and components belong to one. No state: `__init__` failed.
        if getattr(self, "state", None) in (State.STARTING, State.RUNNING):
            held = ", ".join(map(_name, self._keys)) or "nothing"
            _warn(f"container {self.name!r} was never closed (it holds {held})", ResourceWarning, source=self)

    def _find(self, key: Key) -> Any:
        if self.state in (State.READY, State.STOPPED):
            raise self._error(f"is {self.state}, so it has no {_name(key)} to give")
        if key in self._keys:
            position = self._keys.index(key)
            if position < len(self._components):
                return self._components[position]
            raise self._error(f"{_name(key)} is closed already")
        if self._shared is not None and key in self._shared:
            return self._shared[key]
        raise self._error(f"there is no {_name(key)}{self._hint(key, self._keys)}")

    def _in_order(self, declared: Mapping[Key, _Declared]) -> tuple[Key, ...]:
        """The keys, each after its needs; the same for the same declarations."""
        sorter = TopologicalSorter({key: [need for need in one.needs if need in declared] for key, one in declared.items()})
        try:
            order = tuple(sorter.static_order())
        except CycleError as error:
            circle = " → ".join(_name(key) for key in reversed(error.args[1]))
            raise self._error(f"components need each other in a circle: {circle} (each needs the next)") from None
        shared: Mapping[Key, Any] = self._shared if self._shared is not None else {}
        unmet = [
            f"{_name(key)} needs {_name(need)}, which is neither provided nor shared ({self._path(declared, key, need)})"
            f"{self._hint(need, declared)}"
            for key, one in declared.items()
            for need in one.needs
            if need not in declared and need not in shared
        ]
        if unmet:
            raise self._error("\n".join(unmet))
        return order

    @staticmethod
    def _path(declared: Mapping[Key, _Declared], key: Key, need: Key) -> str:
        """From a component that nobody needs down to the need. There is no circle."""
        path, above = [need], [key]
        while above:
            path.append(above[0])
            above = [other for other, one in declared.items() if path[-1] in one.needs]
        return " → ".join(map(_name, reversed(path)))

    def _close_components(self) -> tuple[list[tuple[Key, Exception]], BaseException | None]:
        """Close what there is. Gives what failed, and the first interrupt."""
        self.state = State.STOPPING
        failed: list[tuple[Key, Exception]] = []
        interrupt: BaseException | None = None
        while self._components:
            last = len(self._components) - 1
            # Not to be found any more from here on, not by the component's own `close` either.
            component, close = self._components.pop(), self._closers[last]
            if close is None:
                continue
            try:
                close(component)
            except Exception as error:
                failed.append((self._keys[last], error))
            except BaseException as error:
                # An interrupt ends the one that hangs. The others hold files and orders: they are closed all the same.
                interrupt = interrupt or error
        self._keys = self._closers = ()
        self._declared = None
        self.state = State.STOPPED
        return failed, interrupt

    def _hint(self, key: Key, own: Iterable[Key]) -> str:
        shared: Iterable[Key] = self._shared if self._shared is not None else ()
        names = [_name(one) for one in (*own, *shared)]
        guess = nearest(_name(key), names)
        meant = "" if guess is None else f"; did you mean {guess}?"
        return f"{meant}; there are: {', '.join(names) or 'none'}"

    def _error(self, reason: str, errors: tuple[Exception, ...] = ()) -> ContainerError:
        return ContainerError(f"container {self.name!r}", reason, errors)


class SharedServices(Mapping[Key, Any]):
    """Services that all containers may use and none may change, by key. Looking one up gives its read-only view.

    A view shows the public names that the service's protocol (or class) declares, methods and attributes, and nothing
    else. Setting and deleting attributes or items through it is refused. An attribute that is a dict, list or set is shown as a
    mapping proxy, a tuple or a frozenset. This is one level deep: what a method returns, and an attribute of
    any other type, is as writable as the service hands it out. It keeps mistakes out, not intent: a bound method leads to its object.

    Thread safety: never changes after it is made, so any thread may look up. Whether a service may be called by several
    threads is the service's matter.

    Args:
        services: each under the protocol or class that it is shown as, or under a word.
        protocols: what services under a word are shown as. For those under a class, instead of the class.

    Raises:
        ContainerError: a service under a word has no protocol, a service lacks a name of its protocol, or a protocol is for no service.
    """

    __slots__ = ("_views",)

    def __init__(self, services: Mapping[Key, object], protocols: Mapping[Key, type] = _NO_PROTOCOLS) -> None:
        for key in protocols:
            if key not in services:
                raise ContainerError("shared services", f"there is a protocol for {_name(key)}, but no such service")
        views: dict[Key, Any] = {}
        for key, service in services.items():
            protocol = protocols.get(key, key)
            if isinstance(protocol, str):
                raise ContainerError(f"shared service {key!r}", "has no protocol: say in `protocols` what it is shown as")
            views[key] = _view_of(service, key, protocol)
        self._views = views

    def __getitem__(self, key: Key) -> Any:
        return self._views[key]

    def __iter__(self) -> Iterator[Key]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


class _View:
    """What views have in common. Each has a class of its own, with a property for each name that it shows."""

    __slots__ = ()
    _subject: ClassVar[str]

    def __repr__(self) -> str:
        return f"<{self._subject}, read-only>"

    def __getattr__(self, name: str) -> Any:
        shown = vars(type(self)).get(name)
        if isinstance(shown, property):
            # The service itself raised an AttributeError, which Python takes for "not there". Have it raised again.
            return shown.__get__(self)
        names = sorted(name for name, member in vars(type(self)).items() if isinstance(member, property))
        guess = nearest(name, names)
        meant = "" if guess is None else f"; did you mean {guess!r}?"
        raise ReadOnlyService(self._subject, f"does not show {name!r}{meant}; it shows: {', '.join(names) or 'nothing'}")

    def __setattr__(self, name: str, value: object) -> None:
        raise self._refused(f"attribute {name!r} cannot be set")

    def __delattr__(self, name: str) -> None:
        raise self._refused(f"attribute {name!r} cannot be deleted")

    def __setitem__(self, item: object, value: object) -> None:
        raise self._refused(f"item {item!r} cannot be set")

    def __delitem__(self, item: object) -> None:
        raise self._refused(f"item {item!r} cannot be deleted")

    def _refused(self, what: str) -> ReadOnlyService:
        return ReadOnlyService(
            self._subject, f"is shared by all strategies and read-only: {what}; keep what changes in a component of the container"
        )


def _view_of(service: object, key: Key, protocol: type) -> _View:
    subject = f"shared service {_name(key)}"
    names = _public_names(protocol)
    # Statically, because to ask a service that has not started could run code.
    missing = [name for name in names if inspect.getattr_static(service, name, _NOWHERE) is _NOWHERE]
    if missing:
        raise ContainerError(subject, f"{type(service).__qualname__} lacks {', '.join(missing)} of {protocol.__qualname__}")
    members: dict[str, Any] = {name: property(partial(_read, service, name)) for name in names}
    view: _View = type(f"{protocol.__name__}View", (_View,), {"__slots__": (), "_subject": subject} | members)()
    return view


def _public_names(protocol: type) -> list[str]:
    """What a class and its bases declare without a leading underscore: methods, properties and annotated attributes."""
    bases = [base for base in protocol.__mro__ if base not in (object, Protocol, Generic)]
    names = {name: None for base in bases for name in (*vars(base), *inspect.get_annotations(base))}
    return [name for name in names if not name.startswith("_")]


def _read(service: object, name: str, _view: object) -> Any:
    value = getattr(service, name)
    if isinstance(value, dict):
        return MappingProxyType(value)
    if isinstance(value, list):
        return tuple(value)
    return frozenset(value) if isinstance(value, set) else value
