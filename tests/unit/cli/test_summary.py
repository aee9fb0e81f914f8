from __future__ import annotations

import io

import pytest
from rich.console import Console

from stratd.cli.summary import print_summary
from stratd.system.result import BookResult, SessionResult
from tests.unit.cli.conftest import session_result, strategy_result


def shown(result: SessionResult, width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    print_summary(result, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


LONG = {
    "simple_ma_cross": strategy_result(),
    "cross_sectional_momentum": strategy_result(
        notifications=31_200, errors=11, state="QUARANTINED", last_error="ZeroDivisionError: division by zero",
        orders=1_234, fills=1_230, trades=600, final_equity=88_000.0, trading_state="halted",
        metrics={"total_return": -0.12, "max_drawdown": 0.15, "sharpe": None}, refused={"duplicate": 2, "buying_power": 12, "halted": 2},
    ),
}  # fmt: skip


def test_summary_at_100_characters_is_two_tables() -> None:
    notes = ("strategy x was left out: [bold]no such module",)
    result = session_result(strategies=LONG, notes=notes, journal_file="results/tiny/journal.sqlite3")
    assert shown(result, 100) == [
        "strategy                  state        notified  signals  errors   mean   p99    max  waited",
        "────────────────────────────────────────────────────────────────────────────────────────────",
        "simple_ma_cross           stopped       124,800      312       0  5.3µs  21µs  1.9ms     12%",
        "cross_sectional_momentum  quarantined    31,200      312      11  5.3µs  21µs  1.9ms     12%",
        "",
        "strategy                  orders  fills  trades      equity   return  drawdown  Sharpe",
        "──────────────────────────────────────────────────────────────────────────────────────",
        "simple_ma_cross               14     12       5  101,250.50   +1.25%     3.21%    1.23",
        "cross_sectional_momentum   1,234  1,230     600   88,000.00  -12.00%    15.00%       -",
        "",
        "session   tiny (data-driven), end of feed",
        "bars in   38,912",
        "derived   5m: 7,800, 15m: 2,600",
        "rejected  duplicate: 3; see results/tiny/rejects.csv",
        "refused   cross_sectional_momentum: buying_power 12, duplicate 2, halted 2",
        "elapsed   2s, 19,456 bars/s",
        "audit     0123456789ab",
        "journal   results/tiny/journal.sqlite3",
        "",
        "note: strategy x was left out: [bold]no such module",
        "note: cross_sectional_momentum ended halted; stratd journal show has why, with --kind risk",
        "error: cross_sectional_momentum: ZeroDivisionError: division by zero",
    ]


def test_summary_at_80_characters_breaks_nothing_but_names_and_these_where_their_words_end() -> None:
    lines = shown(session_result(strategies=LONG), 80)
    assert max(map(len, lines)) <= 80
    assert lines[2].split() == ["simple_ma_cross", "stopped", "124,800", "312", "0", "5.3µs", "21µs", "1.9ms", "12%"]
    assert lines[3].split() == ["cross_sectional_", "quarantined", "31,200", "312", "11", "5.3µs", "21µs", "1.9ms", "12%"]
    assert lines[4].split() == ["momentum"]
    assert lines[9].split() == ["cross_sectional_momentum", "1,234", "1,230", "600", "88,000.00", "-12.00%", "15.00%", "-"]


def test_summary_with_large_numbers_at_80_characters_keeps_every_one_of_them_whole() -> None:
    large = strategy_result(orders=1_234_567, fills=1_234_567, trades=617_283, final_equity=12_345_678.91)
    lines = shown(session_result(strategies={"a_strategy_with_a_long_name": large}), 80)
    assert max(map(len, lines)) <= 80
    at = next(i for i, line in enumerate(lines) if "12,345,678.91" in line)
    assert lines[at].split() == ["a_strategy_", "1,234,567", "1,234,567", "617,283", "12,345,678.91", "+1.25%", "3.21%", "1.23"]
    assert [line.strip() for line in lines[at + 1 : at + 3]] == ["with_a_long_", "name"]


def test_summary_of_a_session_without_strategies_has_headings() -> None:
    assert shown(session_result(strategies={}), 80)[0].startswith("strategy state notified")


def test_summary_of_a_book_says_what_it_refused_and_what_crossed() -> None:
    book = BookResult(1e5, 1.2e5, approved=1_234, refused={"buying_power": 2, "halted": 7}, crossed_lots={"A": 3, "B": 2_000},
                      crossed_notional=12_345.678)  # fmt: skip
    text = " ".join(line.strip() for line in shown(session_result(book=book), 100))
    assert "let through 1,234, refused halted 7 and buying_power 2, crossed 2,003 lots worth 12,345.68" in text


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"rejected": {"nan": 0}}, "rejected  none"),
        ({}, "refused   none"),
        (
            {"strategies": {"x": strategy_result(metrics={})}},
            "x             14     12       5  101,250.50       -         -       -",
        ),
        ({"bars_derived": {}}, "derived   none"),
        ({"book": BookResult(1e5, 1.2e5)}, "book      equity 100,000.00 (highest 120,000.00), active, let through 0"),
        (
            {"book": BookResult(1e5, 1.2e5, "halted", "drawdown", "2024-01-02T15:30:00Z")},
            "book      equity 100,000.00 (highest 120,000.00), halted: drawdown at 2024-01-02T15:30:00Z, let",
        ),
        ({"deterministic": False}, "audit     0123456789ab (not deterministic)"),
        ({"elapsed_seconds": 0.0}, "elapsed   0ns"),
        ({"error": "FeedError: a.csv: broken"}, "error: FeedError: a.csv: broken"),
    ],
)
def test_summary_says_what_is_special(changes: dict[str, object], line: str) -> None:
    assert line in shown(session_result(**changes), 100)
