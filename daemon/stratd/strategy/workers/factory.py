"""WorkerFactory: builds the workers that a blueprint names."""

from __future__ import annotations

import inspect
import sys
from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from stratd.core.names import nearest
from stratd.errors import WorkforceConfigError
from stratd.strategy.workers.base import Worker, WorkerKind, WorkerProviders
from stratd.strategy.workers.blueprint import WorkerBlueprint, WorkforceBlueprint

# Where the bases that every strategy has come from.
_NOT_BESIDE = ("stratd.strategy.", "builtins", "typing", "abc")


class WorkerFactory:
    """Builds workers for one strategy and gives each the strategy's own providers.

    A worker is named `module:Class`, or by its class alone if it stands beside the strategy: in the strategy's own
    module, or in a module or package `workers` next to it (in a package, also in its modules). "Beside"
    goes for the strategy's base classes too, so that a derived strategy finds the workers of the one it derives from.

    Args:
        providers: what each worker is given.
        home: the strategy's class, which says where "beside" is.
    """

    def __init__(self, providers: WorkerProviders, home: type) -> None:
        self._providers = providers
        self._home = home
        self._found: dict[str, type[Worker[Any]]] | None = None

    def build(self, blueprint: WorkforceBlueprint) -> tuple[Worker[Any], ...]:
        """The workers, in the blueprint's order. A class that is named twice is built twice: `Name` and `Name#2`.

        Raises:
            WorkforceConfigError: a name that leads nowhere, a worker under another kind's key, parameters that do not
                fit. Says all of them.
        """
        problems: list[str] = []
        workers: list[Worker[Any]] = []
        times: dict[str, int] = {}
        for kind, entries in blueprint.by_kind():
            for index, entry in enumerate(entries):
                key = f"workforce.{kind}_workers[{index}]"
                worker_class = self._resolve(entry.name, key, problems)
                if worker_class is None or not _kind_fits(worker_class, kind, key, problems):
                    continue
                params = _params(worker_class, entry, key, problems)
                if params is None:
                    continue
                name = worker_class.__name__
                times[name] = times.get(name, 0) + 1
                unique = name if times[name] == 1 else f"{name}#{times[name]}"
                workers.append(worker_class(unique, params, self._providers))
        if problems:
            raise WorkforceConfigError("\n".join(problems))
        return tuple(workers)

    def _resolve(self, name: str, key: str, problems: list[str]) -> type[Worker[Any]] | None:
        module_name, colon, class_name = name.rpartition(":")
        if colon:
            try:
                choices = _workers_in(_module(module_name, self._home))
            except (ImportError, ValueError) as error:
                problems.append(f"{key}.name: {name!r}: {error}")
                return None
            where = module_name
        else:
            if self._found is None:
                self._found = _beside(self._home)
            choices = self._found
            where = f"beside {self._home.__qualname__}"
        found = choices.get(class_name)
        if found is None:
            meant = nearest(class_name, choices)
            ask = f"; did you mean {meant!r}?" if meant else ""
            listed = ", ".join(sorted(choices)) or "none"
            problems.append(f"{key}.name: no worker {class_name!r} {where}{ask}; there: {listed}; or write module:Class")
        return found


def _module(name: str, home: type) -> ModuleType:
    """The module `name`: the copy of the strategy's own load, if it is part of that, else the one that Python finds.

    A second copy would have DTO classes of its own, and its workers would not find those of the others.
    """
    package = getattr(sys.modules.get(home.__module__), "__package__", None) or ""
    parts = package.split(".")
    for depth in range(len(parts), 0, -1):
        private = f"{'.'.join(parts[:depth])}.{name}"
        try:
            return import_module(private)
        except ModuleNotFoundError as error:
            if not f"{private}.".startswith(f"{error.name}."):
                raise  # it is there, and imports something that is not
    return import_module(name)


def _beside(home: type) -> dict[str, type[Worker[Any]]]:
    found: dict[str, type[Worker[Any]]] = {}
    for base in home.__mro__:
        module = sys.modules.get(base.__module__)
        if module is None or base.__module__.startswith(_NOT_BESIDE):
            continue
        modules = [module]
        if module.__package__:
            modules += _modules_of(f"{module.__package__}.workers")
        for one in modules:
            for name, worker_class in _workers_in(one).items():
                found.setdefault(name, worker_class)
    return found


def _modules_of(name: str) -> list[ModuleType]:
    """The module `name` and, if it is a package, its modules; empty where there is none."""
    try:
        module = import_module(name)
    except ModuleNotFoundError as error:
        if error.name == name:
            return []
        # It is there, and imports something that is not.
        raise
    inner = sorted(found.name for found in iter_modules(getattr(module, "__path__", ())))
    return [module, *(import_module(f"{name}.{one}") for one in inner)]


def _workers_in(module: ModuleType) -> dict[str, type[Worker[Any]]]:
    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Worker) and not inspect.isabstract(value)
    }


def _kind_fits(worker_class: type[Worker[Any]], kind: WorkerKind, key: str, problems: list[str]) -> bool:
    # A class derived from Worker itself has no kind.
    of_class = getattr(worker_class, "kind", None)
    if of_class is kind:
        return True
    if of_class is None:
        problems.append(f"{key}: {worker_class.__name__} has no kind; derive it from {kind.capitalize()}Worker")
    else:
        problems.append(f"{key}: {worker_class.__name__} is of kind {of_class}; list it under {of_class}_workers")
    return False


def _params(worker_class: type[Worker[Any]], entry: WorkerBlueprint, key: str, problems: list[str]) -> Any:
    try:
        return worker_class.Params.model_validate(entry.params)
    except ValidationError as error:
        for one in error.errors():
            path = ".".join(str(part) for part in one["loc"])
            text = f"{key}.params{'.' + path if path else ''}: {one['msg']} (got {one['input']!r})"
            if one["type"] == "extra_forbidden":
                meant = nearest(path, worker_class.Params.model_fields)
                fields = ", ".join(worker_class.Params.model_fields) or "none"
                text = f"{key}.params.{path}: {worker_class.__name__} has no such parameter"
                text += f"; did you mean {meant!r}?" if meant else f"; it has: {fields}"
            problems.append(text)
        return None
