"""Run the benches, print their claims as a table, and keep it in bench/README.md.

    python bench/run.py [NAME ...] --date 2024-11-21

Names: w1, w2, orders, book, gate, symbols, memory, startup, provider, containers, journal, indicators, indicator_memory,
indicator_kernels, peers, peer_orders; all of them where none is given. What the other benches found last stays in the table.
With --short (little data) or without --date the table is only printed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import support

SCRIPTS: Final = {
    "w1": "w1.py",
    "w2": "w2.py",
    "orders": "orders.py",
    "book": "book.py",
    "gate": "gate.py",
    "symbols": "symbols.py",
    "memory": "memory.py",
    "startup": "startup.py",
    "provider": "provider_memory.py",
    "containers": "containers.py",
    "journal": "journal.py",
    "indicators": "indicators.py",
    "indicator_memory": "indicator_memory.py",
    "indicator_kernels": "indicator_kernels.py",
    "peers": "comparison.py",
    "peer_orders": "comparison_orders.py",
}
PREFIXES: Final = {name: (f"{name}_",) for name in SCRIPTS} | {
    "orders": ("w1_orders_", "w1_microseconds_per_order", "w2_orders_"),
    "peers": ("peer_",),
}
"""How the claims of each bench begin. The longest beginning counts: `w1_orders_count` is none of w1's."""
README: Final = support.BENCH / "README.md"
START: Final = "<!-- table: written by bench/run.py -->"
END: Final = "<!-- end of table -->"
HEAD: Final = ("claim", "value", "unit", "target", "baseline", "ratio", "holds", "wall s", "CPU s", "runs", "date", "note")


def number(value: float | None) -> str:
    """A number as people read it: `5,712`, `0.135`, or nothing."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.3g}"


def row(line: dict[str, Any], date: str) -> tuple[str, ...]:
    """A claim's line as the table's cells."""
    what, sign = line.get("test", "value <=").split()
    target = "" if line["target"] is None else f"{'' if what == 'value' else 'ratio '}{sign} {number(line['target'])}"
    holds = {True: "yes", False: "**no**", None: ""}[line["holds"]]
    spent = (number(line.get("wall_seconds")), number(line.get("cpu_seconds")))
    note = line.get("note", "").replace("|", "/")
    return (
        line["claim"], number(line["value"]), line["unit"], target, number(line["baseline"]), number(line["ratio"]), holds,
        *spent, str(line.get("runs", 1)), date, note,
    )  # fmt: skip


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The rows as a table in Markdown."""
    lines = [HEAD, ["---"] * len(HEAD), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """The rows as a table for a terminal, notes below their rows."""
    lines = [HEAD[:-2], *(line[:-2] for line in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    noted = [f"{line}\n    {cells[-1]}" if cells[-1] else line for line, cells in zip(text[1:], rows, strict=True)]
    return "\n".join([text[0], *noted])


def kept(readme: str) -> list[tuple[str, ...]]:
    """The rows of the table that a README has."""
    between = readme.partition(START)[2].partition(END)[0]
    table = [line for line in between.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip().strip("|").split("|")) for line in table[2:]]


def prefix_of(claim: str) -> str:
    """The longest of `PREFIXES` that a claim begins with.

    Raises:
        ValueError: it begins with none, so that its row would stay in the table for ever.
    """
    found = [prefix for every in PREFIXES.values() for prefix in every if claim.startswith(prefix)]
    if not found:
        raise ValueError(f"claim {claim!r} is of no bench: PREFIXES in {Path(__file__).name} says how the claims of each begin")
    return max(found, key=len)


def renewed(old: Sequence[tuple[str, ...]], new: Sequence[tuple[str, ...]], prefixes: Sequence[str]) -> list[tuple[str, ...]]:
    """The old rows with those of the benches that have run (`prefixes` of their claims) replaced, in the order of SCRIPTS."""
    stay = [cells for cells in old if prefix_of(cells[0]) not in prefixes]
    order = {prefix: i for i, name in enumerate(SCRIPTS) for prefix in PREFIXES[name]}
    return sorted([*stay, *new], key=lambda cells: order[prefix_of(cells[0])])


def rewritten(readme: str, table: str, machine: str) -> str:
    """The README with another table between its markers.

    Raises:
        ValueError: it has no markers.
    """
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not start or not end:
        raise ValueError(f"{README} has no lines {START} and {END}")
    return f"{before}{START}\n{machine}\n\n{table}\n{END}{after}"


def machine(date: str) -> str:
    """What the numbers were measured on."""
    model = "unknown CPU"
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        names = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0] if names else model
    load = os.getloadavg()[0]
    return (
        f"Last run: {date}, {model}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"{platform.system()} {platform.release()}, load average before {load:.1f}."
    )


def measure(name: str, extra: Sequence[str]) -> list[dict[str, Any]]:
    """Run one bench and give its lines. What it says on stderr is passed on.

    Raises:
        SystemExit: it failed.
    """
    script = support.BENCH / SCRIPTS[name]
    options = [] if name == "provider" else list(extra)
    done = subprocess.run(
        [sys.executable, str(script), *options], env=support.environment(), cwd=support.ROOT, stdout=subprocess.PIPE, text=True, check=False
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"bench {name} failed with exit code {done.returncode}: python {script} {' '.join(options)}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def main(argv: Sequence[str] | None = None) -> int:
    """Run benches. Returns 0; a claim that does not hold is a finding and not a failure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(SCRIPTS)}; all where none is given")
    parser.add_argument("--date", help="the day, for the table in bench/README.md; without it the table is only printed")
    parser.add_argument("--short", action="store_true", help="little data: to see whether the benches work")
    parser.add_argument("--json", action="store_true", help="print the claims' JSON lines and no table")
    options = parser.parse_args(argv)
    for name in options.names:
        if name not in SCRIPTS:
            parser.error(f"there is no bench {name!r}; there are {', '.join(SCRIPTS)}")
    names = options.names or list(SCRIPTS)
    about = machine(options.date or "today")
    rows: list[tuple[str, ...]] = []
    for name in names:
        print(f"{name} ...", file=sys.stderr, flush=True)
        lines = measure(name, ["--short"] if options.short else [])
        rows += [row(line, options.date or "") for line in lines]
        if options.json:
            print("\n".join(json.dumps(line) for line in lines), flush=True)
    if not options.json:
        print(f"{aligned(rows)}\n\n{about}")
    if options.date and not options.short:
        text = README.read_text()
        merged = renewed(kept(text), rows, [prefix for name in names for prefix in PREFIXES[name]])
        README.write_text(rewritten(text, markdown(merged), about))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
