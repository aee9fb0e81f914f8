"""What the benches share: claims, sessions to run, and how time and memory are taken.

A bench is a script that prints one JSON line per claim. `python bench/NAME.py --short` runs it on little data, to see that it
works; its numbers then mean nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

BENCH: Final = Path(__file__).resolve().parent
ROOT: Final = BENCH.parent
OUT: Final = BENCH / "out"
COUNTING: Final = str(BENCH / "strategies" / "counting.py")
MA_CROSS: Final = str(ROOT / "strategies" / "examples" / "simple_ma_cross.py")

Test = Literal["value >=", "value <=", "value ==", "ratio >=", "ratio <="]


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One line of the report.

    Attributes:
        value: what was measured, in `unit`; None where it could not be, and `note` says why.
        test: what is compared with `target`: the value, or the ratio of value and baseline.
        baseline: the same measure of a bare loop or of a peer, taken in the same run.
        wall_seconds, cpu_seconds: of the run that `value` comes from, start and end included.
        runs: how many there were; the value is their median.
    """

    claim: str
    value: float | None
    unit: str
    target: float | None
    test: Test = "value <="
    baseline: float | None = None
    wall_seconds: float | None = None
    cpu_seconds: float | None = None
    runs: int = 1
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Value over baseline."""
        return self.value / self.baseline if self.value is not None and self.baseline else None

    @property
    def holds(self) -> bool | None:
        """Whether the target is met; None where nothing was measured, or nothing is claimed."""
        what, sign = self.test.split()
        found = self.value if what == "value" else self.ratio
        if found is None or self.target is None:
            return None
        return found >= self.target if sign == ">=" else found <= self.target if sign == "<=" else found == self.target

    def to_dict(self) -> dict[str, Any]:
        """What is printed."""
        line = {
            "claim": self.claim,
            "value": _rounded(self.value),
            "unit": self.unit,
            "target": self.target,
            "test": self.test,
            "baseline": _rounded(self.baseline),
            "ratio": _rounded(self.ratio),
            "holds": self.holds,
            "wall_seconds": _rounded(self.wall_seconds),
            "cpu_seconds": _rounded(self.cpu_seconds),
            "runs": self.runs,
        }
        return line | {"note": self.note} if self.note else line


def _rounded(number: float | None) -> float | None:
    """Four digits, and no more than the thing is worth."""
    return None if number is None else int(number) if number == int(number) else float(f"{number:.4g}")


def report(claims: Iterable[Claim]) -> None:
    """Print one JSON line per claim."""
    for claim in claims:
        print(json.dumps(claim.to_dict()), flush=True)


def arguments(docstring: str | None, argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line of a bench: `short` and `runs`."""
    parser = argparse.ArgumentParser(description=(docstring or "").partition("\n")[0])
    parser.add_argument("--short", action="store_true", help="little data: to see whether the bench works")
    parser.add_argument("--runs", type=int, help="how many runs the median is taken of")
    return parser.parse_args(argv)


# Time.


@dataclass(frozen=True, slots=True)
class Run:
    """One run of something.

    Attributes:
        seconds: what the claim is about: a part of the wall time, such as first to last event.
        wall_seconds, cpu_seconds: of all of it; CPU of all threads.
        result: what it gave back.
    """

    seconds: float
    wall_seconds: float
    cpu_seconds: float
    result: Any = None


def timed(work: Callable[[], Any], seconds_of: Callable[[Any], float] | None = None) -> Run:
    """Do something and time it. `seconds_of` says what part of it counts, given its result."""
    cpu, wall = time.process_time(), time.perf_counter()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Run(wall if seconds_of is None else seconds_of(result), wall, cpu, result)


def median(runs: Sequence[Run]) -> Run:
    """The run in the middle (of an even number, the slower of the two), by `seconds`."""
    return sorted(runs, key=lambda run: run.seconds)[len(runs) // 2]


def alternate(count: int, *works: Callable[[], Run]) -> tuple[list[Run], ...]:
    """Run several things in turn, `count` times each, so that a machine that changes its pace changes it for all."""
    rounds = [[work() for work in works] for _ in range(count)]
    return tuple([one[i] for one in rounds] for i in range(len(works)))


# Sessions.


def bars_file(name: str, make: Callable[[], Any]) -> Path:
    """A file of bars in bench/out, written once: `make` gives the Arrow table."""
    import workloads

    path = OUT / name
    if not path.is_file():
        workloads.write(make(), path)
    return path


def strategies(module: str, count: int, **config: Any) -> list[dict[str, Any]]:
    """`count` entries of one strategy."""
    return [{"name": f"{Path(module).stem}_{i}", "module": module, "config": config} for i in range(count)]


def session_file(
    name: str, symbols: Sequence[str], feed: Mapping[str, Any], entries: Sequence[Any], derived: Sequence[int] = (), **more: Any
) -> Path:
    """Write a session into bench/out. Signals make no orders unless `account` says so; what is not said is as it is by default."""
    path = OUT / f"{name}.json"
    session = {
        "calendar": "24/7",
        "tick": 0.01,
        "account": {"sizing": None},
        "session_data_config": {
            "symbols": list(symbols),
            "streaming": {"data_upkeep": {"enabled": True, "derived_intervals": list(derived)}},
        },
        "feed": dict(feed),
        "strategies": list(entries),
    }
    OUT.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(session | more, indent=1))
    return path


def until(minutes: int) -> str:
    """The feed's `end` that leaves the first `minutes` of a workload."""
    import datetime

    import workloads

    moment = datetime.datetime.fromtimestamp(workloads.START_SECONDS + 60 * minutes, datetime.UTC)
    return moment.isoformat().replace("+00:00", "Z")


def engine(path: Path, **options: Any) -> Run:
    """Run a session through SystemManager as it is shipped: metrics served, every callback timed, everything hashed.

    `seconds` is from the start of the threads to the end of the last strategy: without building the session.
    """
    from stratd.system.config import load_session
    from stratd.system.manager import SystemManager
    from stratd.system.result import RunOptions

    config = load_session(path)
    manager = SystemManager(config, RunOptions(metrics_port=0, results_dir=str(OUT / "results"), **options))
    run = timed(manager.run, lambda result: float(result.elapsed_seconds))
    if run.result.exit_code or any(one.errors for one in run.result.strategies.values()):
        raise SystemExit(f"{path}: the run failed: {run.result.error} {run.result.notes}")
    return run


# Processes.


def environment() -> dict[str, str]:
    """The environment of child processes: the package of this tree comes first."""
    parts = [str(ROOT / "daemon"), str(BENCH), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {"PYTHONPATH": os.pathsep.join(parts)}


def use_this_tree() -> None:
    """Have `import stratd` find the package of this tree, installed or not."""
    sys.path.insert(0, str(ROOT / "daemon"))


def command(*words: str, python: str = sys.executable, expect: int = 0) -> Run:
    """Run Python in a process of its own; `result` is (start stamp in perf_counter_ns, what it printed).

    CPU is that of the child and of all its threads.
    """
    cpu, start = os.times(), time.perf_counter_ns()
    done = subprocess.run([python, *words], env=environment(), cwd=ROOT, capture_output=True, text=True, check=False)
    wall, after = (time.perf_counter_ns() - start) / 1e9, os.times()
    if done.returncode != expect:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    spent = after.children_user + after.children_system - cpu.children_user - cpu.children_system
    return Run(wall, wall, spent, (start, done.stdout))


def child(*words: str) -> tuple[Run, dict[str, Any]]:
    """Run a stratd command in a process of its own, which says at its end what it has seen (see child.py)."""
    run = command(str(BENCH / "child.py"), *words)
    return run, json.loads(run.result[1].splitlines()[-1])


def middle(numbers: Iterable[float]) -> float:
    """The median."""
    return float(statistics.median(numbers))
