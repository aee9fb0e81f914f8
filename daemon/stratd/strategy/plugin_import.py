"""Private imports: the modules of one load of one strategy, under names of their own.

A strategy's module and the helper modules beside it are imported from source, under `stratd_plugins.<name>`. So two
strategies may each have a `helper.py`, one strategy may run twice, and one can be reloaded alone.

How: the names under `stratd_plugins.<name>` mirror the files under one directory, so relative imports work as anywhere.
Plain imports (`import helper`) ask `__import__` of the importing module's `__builtins__`, which is one of ours: it sends
the strategy's own names to their private copies, and all others to Python's. So `sys.path` stays as it is, an
import in a callback works too, and nobody else's import is touched. What it does not see is
`importlib.import_module("helper")`; `import_module(".helper", __package__)` works.
"""

from __future__ import annotations

import builtins
import re
import sys
import types
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import Any, Final

ROOT_PACKAGE: Final = "stratd_plugins"


class PrivateImports:
    """The finder of one load, and the `__import__` that its modules see. It stands in `sys.meta_path` until `remove`.

    Thread safety: made, filled and removed by the thread that loads. Imports made later, in callbacks, go
    through importlib's own locks; `_homes` is a cache whose entries any thread computes alike.

    Attributes:
        prefix: the package that holds the modules of this load.
        files: source files read so far.
    """

    def __init__(self, unique_name: str, base: Path, dotted: str, beside: Sequence[str]) -> None:
        """Prepare a load; nothing is imported yet.

        Args:
            unique_name: what the load is called; other names are found where it is taken.
            base: directory that the names mirror.
            dotted: name of the strategy's module, relative to `base`.
            beside: packages (relative to `base`, "" for itself) whose modules can be imported plainly.
        """
        self.prefix = _free_name(unique_name)
        self.base = base
        self.files: set[str] = set()
        self._own_top = dotted.partition(".")[0]
        self._beside = tuple(beside)
        self._homes: dict[str, str | None] = {}
        self._builtins: dict[str, Any] = {**vars(builtins), "__import__": self._import}
        if ROOT_PACKAGE not in sys.modules:
            sys.modules[ROOT_PACKAGE] = _package(ROOT_PACKAGE, [])
        sys.modules[self.prefix] = _package(self.prefix, [str(base)])
        sys.meta_path.insert(0, self)  # before Python's own finder, which would use cached bytecode

    def load(self, dotted: str) -> types.ModuleType:
        """Import `dotted` (relative to the base) from source. Raises whatever its code raises."""
        return import_module(f"{self.prefix}.{dotted}")

    def remove(self) -> None:
        """Forget the modules of this load. What still holds their classes keeps them alive."""
        remove_load(self.prefix)

    def public(self, text: str) -> str:
        """`text` without the private prefix, for messages."""
        return text.replace(f"{self.prefix}.", "")

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: object = None) -> ModuleSpec | None:
        """Where a module of this load comes from (importlib's protocol of finders); None for all others."""
        if path is None or not fullname.startswith(f"{self.prefix}."):
            return None
        tail = fullname.rpartition(".")[2]
        for directory in map(Path, path):
            source = _source(directory, tail)
            if source is not None:
                self.files.add(str(source))
                packages = [str(source.parent)] if source.name == "__init__.py" else None
                loader = _FreshLoader(fullname, str(source), self._builtins)
                return spec_from_file_location(fullname, source, loader=loader, submodule_search_locations=packages)
            other = FileFinder(str(directory), (ExtensionFileLoader, EXTENSION_SUFFIXES)).find_spec(fullname)
            if other is not None:  # an extension module, or a directory without __init__.py
                return other
        return None

    def _home(self, top: str) -> str | None:
        """The private name of a top-level module that belongs to the strategy; None where it does not."""
        # A helper hides installed packages, as it does for a script, but never Python's own modules or stratd.
        if top == "stratd" or top in sys.stdlib_module_names:
            return None
        if top == self._own_top:
            return f"{self.prefix}.{top}"
        for package in self._beside:
            directory = self.base.joinpath(*package.split(".")) if package else self.base
            if _holds(directory, top):
                return ".".join(part for part in (self.prefix, package, top) if part)
        return None

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level == 0:
            top, _, rest = name.partition(".")
            if top not in self._homes:
                self._homes[top] = self._home(top)
            home = self._homes[top]
            if home is not None:
                full = f"{home}.{rest}" if rest else home
                if fromlist:
                    return builtins.__import__(full, globals, locals, fromlist, 0)
                import_module(full)
                return sys.modules[home]
        return builtins.__import__(name, globals, locals, fromlist or (), level)


def remove_load(prefix: str) -> None:
    """Forget the load whose modules are under `prefix`, if there is one."""
    for finder in [f for f in sys.meta_path if isinstance(f, PrivateImports) and f.prefix == prefix]:
        sys.meta_path.remove(finder)
    for name in [n for n in sys.modules if n == prefix or n.startswith(f"{prefix}.")]:
        del sys.modules[name]
    if not any(name.startswith(f"{ROOT_PACKAGE}.") for name in sys.modules):
        sys.modules.pop(ROOT_PACKAGE, None)


class _FreshLoader(SourceFileLoader):
    """Compiles from source every time: a cached .pyc is trusted by time and size, and an edit can keep both."""

    def __init__(self, fullname: str, path: str, builtins_of_load: dict[str, Any]) -> None:
        super().__init__(fullname, path)
        self._builtins_of_load = builtins_of_load

    def get_code(self, fullname: str) -> types.CodeType:
        path = self.get_filename(fullname)
        code: types.CodeType = self.source_to_code(self.get_data(path), path)
        return code

    def exec_module(self, module: types.ModuleType) -> None:
        module.__dict__["__builtins__"] = self._builtins_of_load
        super().exec_module(module)


def _source(directory: Path, name: str) -> Path | None:
    """The source file of module `name` in `directory`."""
    for file in (directory / name / "__init__.py", directory / f"{name}.py"):
        if file.is_file():
            return file
    return None


def _holds(directory: Path, name: str) -> bool:
    """Whether `directory` has a module, package or directory of modules called `name`."""
    if _source(directory, name) is not None or any((directory / f"{name}{suffix}").is_file() for suffix in EXTENSION_SUFFIXES):
        return True
    return (directory / name).is_dir() and any((directory / name).glob("*.py"))


def _package(name: str, path: list[str]) -> types.ModuleType:
    """An empty package whose submodules are looked for in `path`."""
    module = types.ModuleType(name)
    module.__path__ = path
    module.__package__ = name
    module.__spec__ = ModuleSpec(name, None, is_package=True)
    return module


def _free_name(unique_name: str) -> str:
    """A package name for the load that no other load has."""
    stem = f"{ROOT_PACKAGE}.{re.sub(r'[^0-9A-Za-z_]', '_', unique_name) or 'strategy'}"
    number, name = 1, stem
    while name in sys.modules:
        number += 1
        name = f"{stem}_{number}"
    return name
