"""Kernels of the indicators: how long all of them take to compile, to be loaded from the cache, and what they take there.

    python bench/indicator_kernels.py

Each measurement is made in a process of its own, with a kernel cache of its own (STRATD_CACHE_DIR). The time is that of
`Kernel.load`, helpers included, after numba has compiled something else, so that its own start is left out. A session
(session_configs/demo.json) with an empty cache must compile no operation that no strategy's indicators are made of, and
nothing at all once it runs.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import support

COLD_SECONDS: Final = 20.0
CACHED_SECONDS: Final = 0.5
CACHE_MB: Final = 5.0
LOAD: Final = "--load"


def load_all() -> dict[str, Any]:
    """Load every kernel of the indicators, in the order in which they are defined. Runs in a child."""
    import numba

    from stratd.core import kernel
    from stratd.indicators.catalogue.listing import CATALOGUE

    numba.njit("float64(float64)")(lambda number: number + 1.0)
    numba.cfunc("float64(float64)")(lambda number: number + 1.0)
    seconds = {}
    found = [one for one in kernel.all_kernels() if one.function.__module__.startswith("stratd.indicators.")]
    for one in found:
        begun = perf_counter()
        one.load()
        seconds[f"{one.function.__module__.rpartition('.')[2]}.{one.function.__name__}"] = perf_counter() - begun
    return {"kernels": len(found), "entries": len(CATALOGUE), "compiled": kernel.stats.compiled, "seconds": seconds}


def child(*words: str) -> dict[str, Any]:
    """The last line of a child, as JSON."""
    found: dict[str, Any] = json.loads(support.command(*words).result[1].splitlines()[-1])
    return found


def cache_bytes(directory: Path) -> tuple[int, int]:
    """Bytes and number of the files in a kernel cache."""
    sizes = [path.stat().st_size for path in directory.rglob("*") if path.is_file()]
    return sum(sizes), len(sizes)


def dearest(seconds: Mapping[str, float]) -> str:
    """The three that took longest."""
    order = sorted(seconds, key=seconds.__getitem__, reverse=True)[:3]
    return ", ".join(f"{name} {1e3 * seconds[name]:.0f} ms" for name in order)


def everything(runs: int) -> list[support.Claim]:
    """All kernels: compiled with an empty cache, loaded from it."""
    cold, cached, sizes = [], [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as directory:
            os.environ["STRATD_CACHE_DIR"] = directory
            cold.append(child(__file__, LOAD))
            cached.append(child(__file__, LOAD))
            sizes.append(cache_bytes(Path(directory)))
    if any(one["compiled"] for one in cached):
        raise SystemExit("indicator_kernels: a kernel that was in the cache has been compiled again")

    def total(one: dict[str, Any]) -> float:
        return float(sum(one["seconds"].values()))

    first, again = (sorted(found, key=total)[len(found) // 2] for found in (cold, cached))
    count, entries = first["kernels"], first["entries"]
    size, files = sizes[0]
    each = f"{count} kernels, for the {entries} entries of the catalogue"
    return [
        support.Claim(
            claim="indicator_kernels_compile", value=total(first), unit="s", target=COLD_SECONDS, runs=runs,
            note=f"{each}; dearest: {dearest(first['seconds'])}",
        ),
        support.Claim(
            claim="indicator_kernels_load", value=total(again), unit="s", target=CACHED_SECONDS, baseline=total(first), runs=runs,
            note=f"baseline: compiling; dearest: {dearest(again['seconds'])}",
        ),
        support.Claim(
            claim="indicator_kernels_cache", value=size / 1e6, unit="MB", target=CACHE_MB, runs=runs,
            note=f"{files} files, {size / 1e3 / count:.0f} kB a kernel",
        ),
    ]  # fmt: skip


def session() -> list[support.Claim]:
    """What a session compiles."""
    demo = str(support.ROOT / "session_configs" / "demo.json")
    with tempfile.TemporaryDirectory() as directory:
        os.environ["STRATD_CACHE_DIR"] = directory
        run, found = support.child("backtest", demo, "--quiet", "--results-dir", str(support.OUT / "results"))
    kernels = found["kernels"]
    unused = sorted(set(kernels["operations"]) - set(kernels["used"]))
    missing = sorted(set(kernels["used"]) - set(kernels["operations"]))
    if missing:
        raise SystemExit(f"indicator_kernels: operations that are used were not loaded: {', '.join(missing)}")
    spent: dict[str, Any] = {"wall_seconds": run.wall_seconds, "cpu_seconds": run.cpu_seconds}
    names = ", ".join(kernels["operations"])
    notes = [
        f"of {kernels['all_operations']} operations it compiled {len(kernels['operations'])} ({names})",
        f"of {kernels['all']} kernels in all {kernels['compiled']}",
        f"unused: {', '.join(unused)}" if unused else "",
    ]
    return [
        support.Claim(
            claim="indicator_kernels_session_unused", value=len(unused), unit="operations", target=0, test="value ==",
            note="; ".join(filter(None, notes)), **spent,
        ),
        support.Claim(
            claim="indicator_kernels_session_late", value=kernels["late"], unit="compilations", target=0, test="value ==",
            note="after activation", **spent,
        ),
    ]  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.report(everything(options.runs or 1))
    support.report(session())


if __name__ == "__main__":
    if sys.argv[1:] == [LOAD]:
        print(json.dumps(load_all()))
    else:
        main()
