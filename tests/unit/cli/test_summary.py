from __future__ import annotations

import io

import pytest
from rich.console import Console

from stratd.cli.summary import print_summary
from stratd.system.result import SessionResult
from tests.unit.cli.conftest import session_result, strategy_result


def shown(result: SessionResult, width: int) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO(), highlight=False)
    print_summary(result, console)
    return [line.rstrip() for line in console.export_text().splitlines()]


LONG = {
    "simple_ma_cross": strategy_result(),
    "cross_sectional_momentum": strategy_result(
        notifications=31_200, errors=11, state="QUARANTINED", last_error="ZeroDivisionError: division by zero"
    ),
}


def test_summary_at_100_characters_is_a_table() -> None:
    result = session_result(strategies=LONG, notes=("strategy x was left out: [bold]no such module",))
    assert shown(result, 100) == [
        "strategy                  state        notified  signals  errors   mean   p99    max  waited",
        "────────────────────────────────────────────────────────────────────────────────────────────",
        "simple_ma_cross           stopped       124,800      312       0  5.3µs  21µs  1.9ms     12%",
        "cross_sectional_momentum  quarantined    31,200      312      11  5.3µs  21µs  1.9ms     12%",
        "",
        "session   tiny (data-driven), end of feed",
        "bars in   38,912",
        "derived   5m: 7,800, 15m: 2,600",
        "rejected  duplicate: 3; see results/tiny/rejects.csv",
        "elapsed   2s, 19,456 bars/s",
        "audit     0123456789ab",
        "",
        "note: strategy x was left out: [bold]no such module",
        "error: cross_sectional_momentum: ZeroDivisionError: division by zero",
    ]


def test_summary_at_80_characters_breaks_nothing_but_names() -> None:
    lines = shown(session_result(strategies=LONG), 80)
    assert max(map(len, lines)) <= 80
    assert lines[2].split() == ["simple_ma_cross", "stopped", "124,800", "312", "0", "5.3µs", "21µs", "1.9ms", "12%"]
    assert lines[3].split()[1:] == ["quarantined", "31,200", "312", "11", "5.3µs", "21µs", "1.9ms", "12%"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"rejected": {"nan": 0}}, "rejected  none"),
        ({"bars_derived": {}}, "derived   none"),
        ({"deterministic": False}, "audit     0123456789ab (not deterministic)"),
        ({"elapsed_seconds": 0.0}, "elapsed   0ns"),
        ({"error": "FeedError: a.csv: broken"}, "error: FeedError: a.csv: broken"),
    ],
)
def test_summary_says_what_is_special(changes: dict[str, object], line: str) -> None:
    assert line in shown(session_result(**changes), 100)
