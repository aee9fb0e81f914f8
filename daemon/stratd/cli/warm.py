"""stratd warm: compile all kernels ahead, so that no session waits for it."""

from __future__ import annotations

import argparse
from importlib import import_module
from pkgutil import walk_packages
from typing import Any, Final

from stratd.cli.output import span_text

KERNEL_PACKAGES: Final = ("stratd.data", "stratd.indicators", "stratd.strategy")
CALENDAR: Final = "XNYS"


def add_verbs(verbs: Any) -> None:
    """Add `warm`."""
    warm = verbs.add_parser(
        "warm",
        help="compile all kernels ahead, so that no session waits for it",
        description="Compile all kernels into the cache, once per version and machine, and build the tables that sessions need.",
    )
    warm.set_defaults(handler=warm_up, parser=warm)


def warm_up(arguments: argparse.Namespace) -> int:
    """Load every kernel, one after the other, and say so."""
    from stratd.core.clock import perf_ns
    from stratd.core.kernel import all_kernels, cache_directory, stats
    from stratd.system.calendars import load_calendar

    start_ns = perf_ns()
    compiled_before, loaded_before = stats.compiled, stats.loaded
    _import_kernels()
    kernels = all_kernels()
    for number, kernel in enumerate(kernels, start=1):
        print(f"compiling {number}/{len(kernels)} {kernel.function.__name__} ...", flush=True)
        kernel.load()
    print(f"calendar {CALENDAR} ...", flush=True)
    load_calendar(CALENDAR)
    compiled, loaded = stats.compiled - compiled_before, stats.loaded - loaded_before
    seconds = span_text((perf_ns() - start_ns) / 1e9)
    print(f"{len(kernels)} kernels are ready after {seconds}: {compiled} compiled, {loaded} taken from the cache")
    directory = cache_directory()
    if directory is None:
        print("nothing could be cached: set STRATD_CACHE_DIR to a directory that can be written")
    else:
        print(f"cache: {directory}")
    return 0


def _import_kernels() -> None:
    """Import every module of the packages that hold kernels: a kernel is known once its module is imported."""
    for name in KERNEL_PACKAGES:
        package = import_module(name)
        for module in walk_packages(package.__path__, prefix=f"{name}."):
            import_module(module.name)
