"""What a run came to, as tables for a person."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from rich.text import Text

from stratd.cli.output import count_text, make_grid, make_table, span_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console, RenderableType
    from rich.table import Table

    from stratd.system.result import BookResult, SessionResult, StrategyResult

HASH_CHARACTERS: Final = 12
WIDE: Final = 100
_STATE_STYLES: Final = {"STOPPED": "green", "QUARANTINED": "yellow", "FAULTED": "red"}


def print_summary(result: SessionResult, console: Console) -> None:
    """Print the strategies' tables, then the session's numbers, then what a person should know."""
    for part in summary_parts(result, console.width):
        console.print(part)


def summary_parts(result: SessionResult, width: int) -> list[RenderableType]:
    """The parts of the summary, from top to bottom, for a screen `width` characters wide."""
    headings = ("strategy", "=state", ">notified", ">signals", ">errors", ">mean", ">p99", ">max", ">waited")
    table = _strategies(headings, {name: _work(strategy) for name, strategy in result.strategies.items()}, width)
    parts: list[RenderableType] = [table, Text(""), _accounts(result, width), Text(""), make_grid(_numbers(result))]
    remarks = [f"note: {note}" for note in result.notes]
    remarks += [
        f"note: {name} ended {strategy.trading_state}; stratd journal show has why, with --kind risk"
        for name, strategy in result.strategies.items()
        if strategy.trading_state != "active"
    ]
    for name, strategy in result.strategies.items():
        if strategy.last_error is not None:
            remarks.append(f"error: {name}: {strategy.last_error}")
    if result.error is not None:
        remarks.append(f"error: {result.error}")
    if remarks:
        parts += [Text(""), *(Text(remark, style="red" if remark.startswith("error") else "yellow") for remark in remarks)]
    return parts


def _work(strategy: StrategyResult) -> list[Text]:
    spans = [span_text(strategy.on_bars_seconds.get(key, float("nan"))) for key in ("mean", "p99", "max")]
    return [
        Text(strategy.state.lower(), style=_STATE_STYLES.get(strategy.state, "")),
        Text(count_text(strategy.notifications)),
        Text(count_text(strategy.signals)),
        Text(count_text(strategy.errors), style="red" if strategy.errors else ""),
        *map(Text, spans),
        Text(f"{strategy.bottleneck_share:.0%}"),
    ]


def _accounts(result: SessionResult, width: int) -> Table:
    """What strategies' accounts came to; `-` is what is undefined."""
    headings = ("strategy", ">orders", ">fills", ">trades", ">equity", ">return", ">drawdown", ">Sharpe")
    return _strategies(headings, {name: _money(strategy) for name, strategy in result.strategies.items()}, width)


def _money(strategy: StrategyResult) -> list[Text]:
    figures = strategy.metrics
    sharpe = figures.get("sharpe")
    cells = [
        *map(count_text, (strategy.orders, strategy.fills, strategy.trades)),
        f"{strategy.final_equity:,.2f}",
        _share(figures.get("total_return"), "+"),
        _share(figures.get("max_drawdown")),
        "-" if sharpe is None else f"{sharpe:.2f}",
    ]
    return [Text(cell) for cell in cells]


def _strategies(headings: Sequence[str], rows: Mapping[str, Sequence[Text]], width: int) -> Table:
    """A table with a row for each strategy. Where there is no room for a name, it is broken where one of its words ends."""
    gap = 2 if width >= WIDE else 1
    table = make_table(*headings, gap=gap)
    columns = zip(*rows.values(), strict=True) if rows else ()
    taken = [max(len(heading.lstrip(">=")), *map(len, cells)) for heading, cells in zip(headings[1:], columns, strict=False)]
    room = max(1, width - sum(taken) - gap * len(taken))
    for name, cells in rows.items():
        table.add_row(Text(_broken(name, room)), *cells)
    return table


def _broken(name: str, room: int) -> str:
    lines = [""]
    for word in re.findall(r"[^_.:-]*[_.:-]?", name):
        if lines[-1] and len(lines[-1]) + len(word) > room:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def _share(fraction: float | None, sign: str = "") -> str:
    return "-" if fraction is None else f"{fraction:{sign}.2%}"


def _refused(result: SessionResult) -> str:
    """Refusals by reason, of each strategy that had any."""
    parts = []
    for name, strategy in result.strategies.items():
        if strategy.refused:
            counts = sorted(strategy.refused.items(), key=lambda item: (-item[1], item[0]))
            parts.append(f"{name}: " + ", ".join(f"{reason} {count_text(count)}" for reason, count in counts))
    return "\n".join(parts) or "none"


def _numbers(result: SessionResult) -> list[tuple[str, str]]:
    rate = f", {count_text(result.bars_in / result.elapsed_seconds)} bars/s" if result.elapsed_seconds > 0 else ""
    rows = [
        ("session", f"{result.session} ({result.mode}), {result.stopped_by}"),
        ("bars in", count_text(result.bars_in)),
        ("derived", ", ".join(f"{interval}: {count_text(number)}" for interval, number in result.bars_derived.items()) or "none"),
        ("rejected", _rejected(result)),
        ("refused", _refused(result)),
        ("elapsed", span_text(result.elapsed_seconds) + rate),
        ("audit", result.audit_hash[:HASH_CHARACTERS] + ("" if result.deterministic else " (not deterministic)")),
    ]
    if result.book is not None:
        rows.append(("book", _book(result.book)))
    if result.journal_file is not None:
        rows.append(("journal", result.journal_file))
    return rows


def _book(book: BookResult) -> str:
    """What the book came to: equity, state, what it refused and what crossed."""
    parts = [f"equity {book.equity:,.2f} (highest {book.peak:,.2f})"]
    parts.append(book.state if book.limit is None else f"{book.state}: {book.limit} at {book.limit_time}")
    refused = sorted(book.refused.items(), key=lambda item: (-item[1], item[0]))
    parts.append(f"let through {count_text(book.approved)}")
    if refused:
        parts.append("refused " + " and ".join(f"{reason} {count_text(count)}" for reason, count in refused))
    if book.crossed_lots:
        parts.append(f"crossed {count_text(sum(book.crossed_lots.values()))} lots worth {book.crossed_notional:,.2f}")
    return ", ".join(parts)


def _rejected(result: SessionResult) -> str:
    kinds = {kind: number for kind, number in result.rejected.items() if number}
    if not kinds:
        return "none"
    text = ", ".join(f"{kind}: {count_text(number)}" for kind, number in kinds.items())
    return text if result.rejects_file is None else f"{text}; see {result.rejects_file}"
