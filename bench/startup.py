"""Start: how long until the first bar of what `make run` plays, until help, until what is wrong with a session.

    python bench/startup.py

Each in a process of its own, from before it is started; kernels are cached. The first bar is when the data-processor
publishes it, which the process itself says (perf_counter is one clock for all processes on Linux). The baseline is a
process that imports what cannot be done without: numpy, numba and pyarrow for the first bar, nothing for help and check.
"""

from __future__ import annotations

import json
from typing import Final

import support

FIRST_BAR: Final = 1.2
ANSWER: Final = 0.4
CONFIG_ERROR: Final = 78


def first_bar() -> support.Run:
    """The demo session; `seconds` is from before the process was started to the first bar."""
    session = str(support.ROOT / "session_configs" / "demo.json")
    run, found = support.child("backtest", session, "--quiet", "--results-dir", str(support.OUT / "results"))
    return support.Run((found["first_bar_ns"] - run.result[0]) / 1e9, run.wall_seconds, run.cpu_seconds)


def claim(name: str, target: float, runs: list[support.Run], loops: list[support.Run], note: str) -> support.Claim:
    """One claim on seconds."""
    run, loop = support.median(runs), support.median(loops)
    return support.Claim(
        claim=name, value=run.seconds, unit="s", target=target, baseline=loop.seconds, wall_seconds=run.wall_seconds,
        cpu_seconds=run.cpu_seconds, runs=len(runs), note=note,
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per claim."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    runs = options.runs or (2 if options.short else 7)
    broken = support.OUT / "broken.json"
    support.OUT.mkdir(parents=True, exist_ok=True)
    demo = json.loads((support.ROOT / "session_configs" / "demo.json").read_text())
    broken.write_text(json.dumps(demo | {"sesion_name": "broken", "window": 0}, indent=1))
    first_bar()  # whatever is compiled or cached the first time

    found, imports = support.alternate(runs, first_bar, lambda: support.command("-c", "import numpy, numba, pyarrow"))
    support.report([claim("startup_first_bar", FIRST_BAR, found, imports, "baseline: import numpy, numba, pyarrow")])
    helps, checks, bare = support.alternate(
        runs,
        lambda: support.command("-m", "stratd", "--help"),
        lambda: support.command("-m", "stratd", "check", str(broken), expect=CONFIG_ERROR),
        lambda: support.command("-c", "pass"),
    )
    note = "baseline: python -c pass"
    support.report([claim("startup_help", ANSWER, helps, bare, note), claim("startup_check_broken", ANSWER, checks, bare, note)])


if __name__ == "__main__":
    main()
