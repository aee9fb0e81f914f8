"""What a run came to, as tables for a person."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.text import Text

from stratd.cli.output import count_text, make_grid, make_table, span_text

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from stratd.system.result import SessionResult

HASH_CHARACTERS: Final = 12
WIDE: Final = 100
_STATE_STYLES: Final = {"STOPPED": "green", "QUARANTINED": "yellow", "FAULTED": "red"}


def print_summary(result: SessionResult, console: Console) -> None:
    """Print the strategies' table, then the session's numbers, then what a person should know."""
    for part in summary_parts(result, console.width):
        console.print(part)


def summary_parts(result: SessionResult, width: int) -> list[RenderableType]:
    """The parts of the summary, from top to bottom, for a screen `width` characters wide."""
    headings = ("strategy", "=state", ">notified", ">signals", ">errors", ">mean", ">p99", ">max", ">waited")
    table = make_table(*headings, gap=2 if width >= WIDE else 1)
    for name, strategy in result.strategies.items():
        spans = [span_text(strategy.on_bars_seconds.get(key, float("nan"))) for key in ("mean", "p99", "max")]
        table.add_row(
            Text(name),
            Text(strategy.state.lower(), style=_STATE_STYLES.get(strategy.state, "")),
            count_text(strategy.notifications),
            count_text(strategy.signals),
            Text(count_text(strategy.errors), style="red" if strategy.errors else ""),
            *spans,
            f"{strategy.bottleneck_share:.0%}",
        )
    parts: list[RenderableType] = [table, Text(""), make_grid(_numbers(result))]
    remarks = [f"note: {note}" for note in result.notes]
    for name, strategy in result.strategies.items():
        if strategy.last_error is not None:
            remarks.append(f"error: {name}: {strategy.last_error}")
    if result.error is not None:
        remarks.append(f"error: {result.error}")
    if remarks:
        parts += [Text(""), *(Text(remark, style="red" if remark.startswith("error") else "yellow") for remark in remarks)]
    return parts


def _numbers(result: SessionResult) -> list[tuple[str, str]]:
    rate = f", {count_text(result.bars_in / result.elapsed_seconds)} bars/s" if result.elapsed_seconds > 0 else ""
    rows = [
        ("session", f"{result.session} ({result.mode}), {result.stopped_by}"),
        ("bars in", count_text(result.bars_in)),
        ("derived", ", ".join(f"{interval}: {count_text(number)}" for interval, number in result.bars_derived.items()) or "none"),
        ("rejected", _rejected(result)),
        ("elapsed", span_text(result.elapsed_seconds) + rate),
        ("audit", result.audit_hash[:HASH_CHARACTERS] + ("" if result.deterministic else " (not deterministic)")),
    ]
    return rows


def _rejected(result: SessionResult) -> str:
    kinds = {kind: number for kind, number in result.rejected.items() if number}
    if not kinds:
        return "none"
    text = ", ".join(f"{kind}: {count_text(number)}" for kind, number in kinds.items())
    return text if result.rejects_file is None else f"{text}; see {result.rejects_file}"
