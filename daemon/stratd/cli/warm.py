"""stratd warm: compile kernels ahead, so that no session waits for it."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import TYPE_CHECKING, Any, Final

from stratd.cli.output import span_text

if TYPE_CHECKING:
    from stratd.core.kernel import Kernel

KERNEL_PACKAGES: Final = (
    "stratd.data",
    "stratd.indicators",
    "stratd.portfolio",
    "stratd.risk",
    "stratd.execution",
    "stratd.strategy",
)
# What every session needs.
SESSION_KERNELS: Final = (
    "stratd.data.",
    "stratd.portfolio.",
    "stratd.risk.",
    "stratd.execution.",
    "stratd.strategy.",
    "stratd.indicators.program",
)
CALENDAR: Final = "XNYS"


def add_verbs(verbs: Any) -> None:
    """Add `warm`."""
    warm = verbs.add_parser(
        "warm",
        help="compile kernels ahead, so that no session waits for it",
        description="Compile kernels into the cache, once per version and machine, and build the tables that sessions need: "
        "all that there are, or those that these sessions use.",
    )
    warm.add_argument("sessions", metavar="SESSION", nargs="*", type=Path, help="session file (JSON, YAML or TOML)")
    warm.set_defaults(handler=warm_up, parser=warm)


def warm_up(arguments: argparse.Namespace) -> int:
    """Load kernels, one after the other, and say so."""
    from stratd.core.clock import perf_ns
    from stratd.core.kernel import cache_directory, stats

    start_ns = perf_ns()
    compiled_before, loaded_before = stats.compiled, stats.loaded
    number = _warm_sessions(arguments.sessions) if arguments.sessions else _warm_all()
    compiled, loaded = stats.compiled - compiled_before, stats.loaded - loaded_before
    seconds = span_text((perf_ns() - start_ns) / 1e9)
    print(f"{number} kernels are ready after {seconds}: {compiled} compiled, {loaded} taken from the cache")
    directory = cache_directory()
    if directory is None:
        print("nothing could be cached: set STRATD_CACHE_DIR to a directory that can be written")
    else:
        print(f"cache: {directory}")
    return 0


def _warm_all() -> int:
    """Load every kernel. Returns how many there are."""
    from stratd.core.kernel import all_kernels
    from stratd.system.calendars import load_calendar

    _import_kernels()
    number = _load(all_kernels())
    print(f"calendar {CALENDAR} ...", flush=True)
    load_calendar(CALENDAR)
    return number


def _warm_sessions(files: list[Path]) -> int:
    """Load what these sessions use: what every session needs, and the operations of what their strategies ask for.

    Raises:
        ConfigError: a session is wrong, or a strategy of it cannot be used.
    """
    from contextlib import ExitStack

    from stratd.core.kernel import Kernel, all_kernels
    from stratd.system.config import load_session
    from stratd.system.requests import loaded_strategies, operations_of

    configs = [load_session(file) for file in files]
    _import_kernels()
    found = [one for one in all_kernels() if type(one) is Kernel and one.function.__module__.startswith(SESSION_KERNELS)]
    with ExitStack() as stack:
        for config in configs:
            print(f"session {config.file} ...", flush=True)
            market, loaded, _ = stack.enter_context(loaded_strategies(config))
            found += operations_of(market, loaded)
        return _load(dict.fromkeys(found))


def _load(kernels: Iterable[Kernel]) -> int:
    chosen = list(kernels)
    for number, kernel in enumerate(chosen, start=1):
        print(f"compiling {number}/{len(chosen)} {kernel.function.__name__} ...", flush=True)
        kernel.load()
    return len(chosen)


def _import_kernels() -> None:
    """Import every module of the packages that hold kernels: a kernel is known once its module is imported."""
    for name in KERNEL_PACKAGES:
        package = import_module(name)
        for module in walk_packages(package.__path__, prefix=f"{name}."):
            import_module(module.name)
