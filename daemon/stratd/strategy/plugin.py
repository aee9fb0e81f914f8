"""The plug-in loader: from the name of a module to a Strategy class."""

from __future__ import annotations

import importlib.util
import inspect
import sys
import traceback
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratd.core.names import nearest
from stratd.errors import StrategyLoadError
from stratd.strategy.base import Strategy
from stratd.strategy.params import StrategyParams
from stratd.strategy.plugin_import import ROOT_PACKAGE, PrivateImports, remove_load

if TYPE_CHECKING:
    from stratd.model import Interval
    from stratd.strategy.context import StrategyContext

STRATEGIES = "strategies"
_CALLBACKS = ("on_bars", "on_slice")  # a strategy overrides at least one of these


def load_strategy(module: str, class_name: str | None = None, *, root: Path, unique_name: str) -> type[Strategy[Any]]:
    """Import a strategy afresh, and find its class.

    The module and the helper modules beside it become objects of this load alone (see `plugin_import`), so a file
    that was edited since is read again. A module may instead hold plain functions: `on_bars(ctx, symbol, interval)`, and
    `setup(ctx)` where the default subscription will not do.

    Args:
        module: dotted path (`strategies.examples.simple_ma_cross`: a file under `root`, else any module that Python
            finds), or path of a `.py` file or package directory, relative to `root` or absolute.
        class_name: which class; needed only where the module defines several strategies.
        root: directory that holds `strategies/`.
        unique_name: what this load is called, usually the strategy's name in its session.

    Raises:
        StrategyLoadError: with the file and line in the author's code, where there is one.
    """
    place = _find(module, root)
    imports, loaded = _import(module, place, unique_name)
    try:
        return _choose(module, loaded, class_name)
    except StrategyLoadError:
        imports.remove()
        raise


def unload(strategy: type[Strategy[Any]]) -> None:
    """Forget the modules of one load. Its objects live on until nobody holds them. Does nothing the second time."""
    parts = strategy.__module__.split(".")
    if parts[0] == ROOT_PACKAGE and len(parts) > 1:
        remove_load(".".join(parts[:2]))


@dataclass(frozen=True, slots=True)
class Discovered:
    """One strategy under `strategies/`, or a module there that cannot be loaded.

    Attributes:
        module: what a session names: `strategies.examples.simple_ma_cross`.
        file: its source file.
        class_name: empty where there is an error.
        summary: first line of the class's docstring, else of the module's.
        params_model: its parameters; None where there is an error.
        error: why it cannot be used, with the line; None where it can.
    """

    module: str
    file: Path
    class_name: str = ""
    summary: str = ""
    params_model: type[StrategyParams] | None = None
    error: str | None = None


def discover_strategies(root: Path) -> list[Discovered]:
    """Every strategy under `root/strategies`, in the order of their modules. A module without any is a helper: left out.

    Each module is imported and forgotten again.
    """
    found: list[Discovered] = []
    for module, file in _modules(root):
        try:
            imports, loaded = _import(module, _find(module, root), "list")
        except StrategyLoadError as error:
            found.append(Discovered(module, file, error=str(error)))
            continue
        try:
            for name, strategy in _candidates(module, loaded).items():
                summary = inspect.cleandoc(strategy.__dict__.get("__doc__") or loaded.__doc__ or "").partition("\n")[0]
                found.append(Discovered(module, file, name, summary, _check(module, strategy).Params))
        except StrategyLoadError as error:
            found.append(Discovered(module, file, error=str(error)))
        finally:
            imports.remove()
    return found


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a module is: `dotted` is relative to `base`; `beside` as for PrivateImports."""

    file: Path
    base: Path
    dotted: str

    @property
    def beside(self) -> list[str]:
        parent = self.dotted.rpartition(".")[0]
        return [self.dotted, parent] if self.file.name == "__init__.py" else [parent]


def _find(module: str, root: Path) -> _Place:
    root = root.absolute()
    if "/" in module or "\\" in module or module.endswith(".py"):
        return _find_path(module, root)
    parts = module.split(".")
    if not all(part.isidentifier() for part in parts):
        raise StrategyLoadError(
            module, "is neither a dotted path (strategies.examples.simple_ma_cross) nor the path of a .py file"
        )
    stem = root.joinpath(*parts)
    for file in (stem / "__init__.py", stem.with_name(f"{stem.name}.py")):
        if file.is_file():
            return _Place(file, root, module)
    spec = _installed(parts)
    if spec is None:
        known = [name for name, _ in _modules(root)]
        near = nearest(module, known) or nearest(parts[-1], [name.rpartition(".")[2] for name in known])
        hint = next((f"; did you mean {name!r}?" for name in known if near in (name, name.rpartition(".")[2])), "")
        raise StrategyLoadError(module, f"no such file under {root}, and no installed module of that name{hint}")
    if spec.origin is None or not spec.origin.endswith(".py"):
        raise StrategyLoadError(module, f"is not a Python source file ({spec.origin or 'a directory without __init__.py'})")
    file = Path(spec.origin)
    if parts[0] == "stratd":  # a second copy of the package would have a second Strategy
        return _Place(file, file.parent, file.stem)
    depth = len(parts) if file.name == "__init__.py" else len(parts) - 1
    return _Place(file, file.parents[depth], module)


def _find_path(module: str, root: Path) -> _Place:
    path = root / Path(module).expanduser()
    file = path / "__init__.py" if path.is_dir() else path
    if not file.is_file():
        if path.is_dir():
            raise StrategyLoadError(module, "is a directory without __init__.py; name the file of the strategy")
        near = nearest(path.name, [other.name for other in path.parent.glob("*.py")])
        raise StrategyLoadError(module, f"there is no file {path}" + (f"; did you mean {near!r}?" if near else ""))
    stem = path.with_suffix("") if path.suffix == ".py" else path
    if file.suffix != ".py" or "." in stem.name:
        raise StrategyLoadError(module, "a strategy's file is called <name>.py, with no other dot in its name", str(file))
    if stem.is_relative_to(root) and all(part.isidentifier() for part in stem.relative_to(root).parts):
        base = root
    else:
        base = stem.parent
        while (base / "__init__.py").is_file():
            base = base.parent
    return _Place(file, base, ".".join(stem.relative_to(base).parts))


def _installed(parts: list[str]) -> ModuleSpec | None:
    """The spec of a module that Python finds, without importing its parents."""
    try:
        spec = importlib.util.find_spec(parts[0])
    except ValueError:  # a module without a spec, such as __main__
        return None
    for depth in range(2, len(parts) + 1):
        if spec is None or spec.submodule_search_locations is None:
            return None
        # By its last name alone: by its full name a namespace package would ask for its parent in sys.modules.
        spec = PathFinder.find_spec(parts[depth - 1], list(spec.submodule_search_locations))
    return spec


def _modules(root: Path) -> Iterator[tuple[str, Path]]:
    """Dotted name and file of each module under `root/strategies`; a package counts as one."""

    def walk(directory: Path) -> Iterator[tuple[str, Path]]:
        for path in sorted(directory.iterdir()):
            if path.name.startswith(("_", ".")) or not path.stem.isidentifier():
                continue
            file = path / "__init__.py" if path.is_dir() else path
            if file.is_file() and file.suffix == ".py":
                yield ".".join((path if path.is_dir() else path.with_suffix("")).relative_to(root).parts), file
            elif path.is_dir():
                yield from walk(path)

    top = root / STRATEGIES
    return walk(top) if top.is_dir() else iter(())


def _import(module: str, place: _Place, unique_name: str) -> tuple[PrivateImports, types.ModuleType]:
    imports = PrivateImports(unique_name, place.base, place.dotted, place.beside)
    loaded = None
    try:
        loaded = imports.load(place.dotted)
    # An author's module may raise anything, and may call sys.exit; that must fail this strategy and nothing else.
    except (Exception, SystemExit) as error:
        raise _explain(module, place, imports, error) from error
    finally:
        if loaded is None:
            imports.remove()
    return imports, loaded


def _explain(module: str, place: _Place, imports: PrivateImports, error: BaseException) -> StrategyLoadError:
    """What went wrong, at the innermost line that is the author's."""
    file, line = str(place.file), None
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename in imports.files:
            file, line = frame.f_code.co_filename, number
    text = imports.public(str(error))
    match error:
        case SyntaxError():
            if error.filename in imports.files:
                file, line = str(error.filename), error.lineno
            source = f": {error.text.strip()}" if error.text else ""
            reason = f"{type(error).__name__}: {error.msg}{source}"
        case SystemExit():
            reason = f"it calls sys.exit({'' if error.code is None else repr(error.code)}) when imported"
        case ModuleNotFoundError() if imports.public(error.name or "").startswith(f"{ROOT_PACKAGE}."):
            reason = f"the relative import leads out of {place.base}"
        case ModuleNotFoundError():
            beside = [path.stem for path in Path(file).parent.glob("*.py")]
            near = nearest(imports.public(error.name or "").rpartition(".")[2], beside)
            reason = f"{text}; it is neither beside the strategy nor installed" + (f"; did you mean {near!r}?" if near else "")
        case _:
            reason = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return StrategyLoadError(module, reason, file, line)


def _choose(module: str, loaded: types.ModuleType, class_name: str | None) -> type[Strategy[Any]]:
    file = loaded.__file__
    candidates = _candidates(module, loaded)
    if class_name is not None:
        chosen = candidates.get(class_name, getattr(loaded, class_name, None))
        if isinstance(chosen, type) and issubclass(chosen, Strategy) and chosen is not Strategy:
            return _check(module, chosen)
        if chosen is not None:
            raise StrategyLoadError(module, f"{class_name} is not a subclass of Strategy", file, _line(chosen))
        near = nearest(class_name, candidates)
        hint = f"; did you mean {near!r}?" if near else ""
        raise StrategyLoadError(
            module, f"there is no class {class_name!r}{hint}; it has: {', '.join(candidates) or 'none'}", file
        )
    if len(candidates) > 1:
        raise StrategyLoadError(module, f"defines several strategies, name one with `class_name`: {', '.join(candidates)}", file)
    if not candidates:
        raise StrategyLoadError(module, "defines no subclass of Strategy, and no function on_bars(ctx, symbol, interval)", file)
    return _check(module, next(iter(candidates.values())))


def _candidates(module: str, loaded: types.ModuleType) -> dict[str, type[Strategy[Any]]]:
    """The strategies that a module defines (a package: in any of its modules), by name, in the order of definition."""
    inside = f"{loaded.__name__}."
    found: dict[str, type[Strategy[Any]]] = {}
    for value in vars(loaded).values():
        if not (isinstance(value, type) and issubclass(value, Strategy)) or inspect.isabstract(value):
            continue
        if f"{value.__module__}.".startswith(inside) and not value.__name__.startswith("_"):
            found[value.__name__] = value
    # A base class that the module's strategies share has no callbacks and is not meant.
    found = {name: value for name, value in found.items() if _has_callback(value)} or found
    on_bars = getattr(loaded, "on_bars", None)
    if not found and inspect.isfunction(on_bars):
        made = _from_functions(module, loaded, on_bars)
        found[made.__name__] = made
    return found


def _has_callback(strategy: type[Strategy[Any]]) -> bool:
    return any(getattr(strategy, name) is not getattr(Strategy, name) for name in _CALLBACKS)


def _check(module: str, strategy: type[Strategy[Any]]) -> type[Strategy[Any]]:
    """Refuse what would fail later, or do nothing in silence (a misspelt callback is the usual cause)."""
    reason = None
    if not _has_callback(strategy):
        own = [name for name in vars(strategy) if name.startswith("on")]
        near = next(((name, right) for name in own if (right := nearest(name, _CALLBACKS))), None)
        hint = f"; it has {near[0]!r}, did you mean {near[1]!r}?" if near else ""
        reason = f"{strategy.__name__} overrides neither on_bars nor on_slice{hint}"
    elif not (isinstance(strategy.Params, type) and issubclass(strategy.Params, StrategyParams)):
        reason = f"{strategy.__name__}.Params must be a subclass of StrategyParams"
    if reason is not None:
        raise StrategyLoadError(module, reason, sys.modules[strategy.__module__].__file__, _line(strategy))
    return strategy


def _line(thing: object) -> int | None:
    """The line where a class or function is defined, if that can be told."""
    try:
        return inspect.getsourcelines(thing)[1]  # type: ignore[arg-type]
    except (OSError, TypeError):
        return None


def _from_functions(module: str, loaded: types.ModuleType, on_bars: Callable[..., None]) -> type[Strategy[Any]]:
    """The strategy that a module's functions `on_bars(ctx, symbol, interval)` and `setup(ctx)` make."""
    setup = getattr(loaded, "setup", None)
    for function, arguments in ((on_bars, ("ctx", "symbol", "interval")), (setup, ("ctx",))):
        if function is None:
            continue
        try:
            inspect.signature(function).bind(*arguments)
        except TypeError:
            wanted = f"{function.__name__}({', '.join(arguments)})"
            raise StrategyLoadError(module, f"the function must take {wanted}", loaded.__file__, _line(function)) from None

    class FunctionStrategy(Strategy[Any]):
        def setup(self, ctx: StrategyContext) -> None:
            if setup is None:
                super().setup(ctx)
            else:
                setup(ctx)

        def on_bars(self, symbol: str, interval: Interval) -> None:
            on_bars(self.ctx, symbol, interval)

    FunctionStrategy.__name__ = FunctionStrategy.__qualname__ = loaded.__name__.rpartition(".")[2]
    FunctionStrategy.__module__ = loaded.__name__
    FunctionStrategy.__doc__ = on_bars.__doc__ or loaded.__doc__
    return FunctionStrategy
