"""What is printed: tables, JSON, progress. The result of a command goes to stdout, all else to stderr."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.console import Console
    from rich.table import Table

    from stratd.system.result import Progress

PLAIN_PROGRESS_SECONDS: Final = 5.0


def write_json(document: Any) -> None:
    """One JSON document on stdout. NaN and infinity, which JSON does not know, become null."""
    print(json.dumps(_finite(document), indent=2, allow_nan=False, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def say(text: str) -> None:
    """A line for the person at the terminal, on stderr."""
    print(text, file=sys.stderr, flush=True)


def make_console() -> Console:
    """A rich console on stdout. Files and pipes get lines of 100 characters, whatever the terminal's width is."""
    from rich.console import Console

    class PipeConsole(Console):
        """Leaves a broken pipe to `main`, which ends with 141 as after any other output."""

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError

    return PipeConsole(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 100)


def make_table(*headings: str, gap: int = 2) -> Table:
    """A table without frame, `gap` (1 or 2) characters between columns.

    A heading that begins with `>` is of a column of numbers, one with `=` of words that are not to be broken.
    """
    from rich import box
    from rich.table import Table

    # The box itself puts one blank between columns.
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, padding=(0, gap - 1, 0, 0), pad_edge=False)
    for heading in headings:
        number = heading.startswith(">")
        table.add_column(
            heading.lstrip(">="),
            justify="right" if number else "left",
            overflow="fold",
            no_wrap=number or heading.startswith("="),
        )
    return table


def make_grid(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values in two columns."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(value))
    return grid


def count_text(number: float) -> str:
    """`1234567` as `1,234,567`."""
    return f"{number:,.0f}"


def span_text(seconds: float) -> str:
    """A span of time in the unit that suits it: `850ns`, `12.3µs`, `4.56ms`, `1.2s`, `3:05min`; `-` for none."""
    if not math.isfinite(seconds):
        return "-"
    if seconds >= 60:
        whole = round(seconds)
        return f"{whole // 60}:{whole % 60:02d}min"
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if float(f"{seconds * factor:.3g}") >= 1:  # as shown: 999.9 µs is 1 ms
            return f"{seconds * factor:.3g}{unit}"
    return f"{seconds * 1e9:.3g}ns"


def time_text(time_ns: int) -> str:
    """Nanoseconds since 1970 as `2013-10-07 13:30Z`, with seconds where there are any."""
    moment = datetime.fromtimestamp(time_ns // 1_000_000_000, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%SZ" if moment.second else "%Y-%m-%d %H:%MZ")


class ProgressDisplay:
    """Shows how far a run is: a bar on a terminal, a plain line every few seconds otherwise. On stderr.

    Thread safety: `show` is called by one thread at a time, any thread.
    """

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: Any = None
        self._task: Any = None
        self._said_at_seconds = 0.0

    def __enter__(self) -> Self:
        if not self._quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

            columns = (
                TextColumn("playing"),
                BarColumn(),
                TaskProgressColumn(),
                TextColumn("{task.description}"),
                TimeElapsedColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False)
            self._task = self._bar.add_task("", total=None)
            self._bar.start()
        return self

    def show(self, progress: Progress) -> None:
        """Take note of how far the run is."""
        if self._quiet:
            return
        where = f"{time_text(progress.event_time_ns)}  {count_text(progress.bars_in)} bars"
        if self._bar is not None:
            total = None if progress.fraction is None else 1.0
            self._bar.update(self._task, description=where, total=total, completed=progress.fraction or 0.0)
        elif progress.elapsed_seconds - self._said_at_seconds >= PLAIN_PROGRESS_SECONDS:
            self._said_at_seconds = progress.elapsed_seconds
            share = "" if progress.fraction is None else f"{progress.fraction:4.0%}  "
            say(f"playing  {share}{where}  {span_text(progress.elapsed_seconds)}")

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._bar is not None:
            self._bar.stop()
