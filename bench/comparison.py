"""Peers on the bars of W1, or on a part of them: how many times faster stratd plays the same bars with everything on.

    python bench/comparison.py

The same job for all: 5m and 15m bars from 1m bars, a cross of SMA(10) and SMA(20) on 5m, signals only. Each peer
runs in a process of its own, by the Python that STRATD_BENCH_PYTHON names (this one, if it does not), and must come to the
same number of 5m bars. A peer that is not installed there is said to be missing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Final

import peer
import support
import w1
import workloads

TIMES: Final = 10.0  # "one to two orders of magnitude faster than any peer"
PEERS: Final = {
    # module: (script, minutes, what is to be said)
    "nautilus_trader": ("nautilus_trader", 100_000, "no simulated matching"),
    "backtrader": ("backtrader", 50_000, ""),
    "backtesting": ("backtesting_py", workloads.W1_MINUTES, "is given 5m bars ready made, no 15m"),
}


def python() -> str:
    """The Python that has the peers."""
    return os.environ.get("STRATD_BENCH_PYTHON", sys.executable)


def installed(module: str) -> bool:
    """Whether that Python has a peer."""
    look = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({module!r}) is None)"
    return subprocess.run([python(), "-c", look], check=False).returncode == 0


def play(script: str, minutes: int) -> support.Run:
    """One run of a peer; `result` is its line."""
    # -P: peers/ is not on the path, where its files would hide the packages that they are about.
    run = support.command("-P", str(support.BENCH / "peers" / f"{script}.py"), str(minutes), python=python())
    line: dict[str, Any] = json.loads(run.result[1].splitlines()[-1])
    return support.Run(line["wall_seconds"], line["wall_seconds"], line["cpu_seconds"], line)


def compare(module: str, script: str, minutes: int, note: str, runs: int) -> support.Claim:
    """stratd and one peer on the first minutes of W1.

    Raises:
        SystemExit: they do not come to the same number of 5m bars, or do not play the same bars.
    """
    name = f"peer_{script}"
    if not installed(module):
        text = f"{module} is not installed: pip install -e '.[bench]', or name a Python that has it in STRATD_BENCH_PYTHON"
        return support.Claim(claim=name, value=None, unit="1m bars/s", target=TIMES, test="ratio >=", runs=0, note=text)
    path = w1.write_session(minutes)
    ours, theirs = support.alternate(runs, lambda: support.engine(path), lambda: play(script, minutes))
    run, other = support.median(ours), support.median(theirs)
    if other.result["cents"] != peer.cents(workloads.w1(minutes)):
        raise SystemExit(f"{name}: it did not play the same bars; is its numpy another one?")
    bars = run.result.bars_derived["5m"]
    if other.result["bars_5m"] != bars:
        raise SystemExit(f"{name}: it came to {other.result['bars_5m']} 5m bars, stratd to {bars}")
    signals = {one.signals for one in run.result.strategies.values()}.pop()
    parts = [f"{minutes} bars", f"{bars} 5m bars, both", f"its signals {other.result['signals']}, ours {signals}", note]
    return support.Claim(
        claim=name, value=minutes / run.seconds, unit="1m bars/s", target=TIMES, test="ratio >=",
        baseline=minutes / other.seconds, wall_seconds=run.wall_seconds, cpu_seconds=run.cpu_seconds, runs=runs,
        note="; ".join(filter(None, parts)),
    )  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line per peer."""
    options = support.arguments(__doc__)
    support.use_this_tree()
    support.engine(w1.write_session(20_000))  # imports, kernels
    for module, (script, minutes, note) in PEERS.items():
        span = min(minutes, 20_000) if options.short else minutes
        support.report([compare(module, script, span, note, options.runs or (1 if options.short else 3))])


if __name__ == "__main__":
    main()
