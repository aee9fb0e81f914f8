"""Loads a shipped strategy package under a name of its own, as a session does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

EXAMPLES = Path(__file__).resolve().parents[2] / "strategies" / "examples"


@contextmanager
def loaded(package: str, name: str, folder: Path = EXAMPLES) -> Iterator[ModuleType]:
    """`folder/package` imported as `name`; forgotten at the end."""
    path = folder / package
    spec = spec_from_file_location(name, path / "__init__.py", submodule_search_locations=[str(path)])
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        for held in [one for one in sys.modules if one == name or one.startswith(name + ".")]:
            del sys.modules[held]
