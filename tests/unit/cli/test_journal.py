from __future__ import annotations

import csv
import json
import os
import shutil
import sqlite3
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from stratd.cli import journal as verbs
from stratd.cli import journal_lines
from stratd.cli.journal_export import COLUMNS
from stratd.cli.journal_lines import JournalLines, Wanted
from stratd.cli.main import main
from stratd.core.clock import utc_text
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.model import Fill, Trade
from stratd.portfolio import cells as c
from stratd.strategy.thread import StrategyThread
from tests.support.spine import Spine
from tests.unit.cli.journals import played, rewritten, with_records

Capture = pytest.CaptureFixture[str]
NAMES = ("one", "two")


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session's results: results/tiny/journal.sqlite3 beside its session file tiny.json."""
    made = tmp_path_factory.mktemp("session")
    (made / "results" / "tiny").mkdir(parents=True)
    (made / "tiny.json").write_text('{"session_data_config": "this is not what goes here, and is not read"}')
    return made


@pytest.fixture(scope="module")
def spine(directory: Path) -> Spine:
    return played(directory / "results" / "tiny" / "journal.sqlite3", names=NAMES)


@pytest.fixture
def journal(directory: Path, spine: Spine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The journal of two gamblers; the current directory is that of its session file."""
    monkeypatch.chdir(directory)
    return Path("results/tiny/journal.sqlite3")


def shown(capsys: Capture, *argv: str) -> list[dict[str, object]]:
    assert main(["journal", "show", *argv, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["session"], document["left_out"]) == ("tiny", 0)
    lines: list[dict[str, object]] = document["lines"]
    return lines


def events(thread: StrategyThread, kind: type[Fill] | type[Trade]) -> list[Fill | Trade]:
    assert thread.account is not None
    return [event for event in thread.account.kept if isinstance(event, kind)]


# show


def test_kinds_of_the_command_line_are_those_of_the_lines() -> None:
    assert verbs.KINDS == journal_lines.KINDS
    assert set(verbs.EXPORTED) == set(COLUMNS)


@pytest.mark.parametrize("place", ["tiny.json", "results/tiny", "results/tiny/journal.sqlite3"])
def test_show_finds_the_journal_by_session_directory_or_file(journal: Path, place: str, capsys: Capture) -> None:
    assert len(shown(capsys, place, "--kind", "session")) == 2


def test_show_gives_every_fill_as_the_strategy_was_told_of_it(journal: Path, spine: Spine, capsys: Capture) -> None:
    for thread in spine.threads:
        found = shown(capsys, "tiny.json", "--kind", "fills", "--strategy", thread.name)
        expected = [
            {
                "time": utc_text(fill.time), "strategy": thread.name, "what": "fills", "order_id": fill.order_id,
                "client_order_id": f"tiny-{thread.name}-{fill.order_id}", "number": fill.number, "symbol": fill.symbol, "side": str(fill.side),
                "quantity": fill.quantity, "price": fill.price, "fee": fill.fee, "is_maker": fill.is_maker,
            }
            for fill in events(thread, Fill)
            if isinstance(fill, Fill)
        ]  # fmt: skip
        assert [{key: value for key, value in line.items() if key != "sequence"} for line in found] == expected
        assert len(found) > 10


def test_show_orders_its_lines_as_they_were_written(journal: Path, capsys: Capture) -> None:
    lines = shown(capsys, "tiny.json", *[word for kind in verbs.KINDS for word in ("--kind", kind)])
    numbers = [line["sequence"] for line in lines]
    assert numbers == sorted(numbers, key=lambda number: int(str(number)))
    assert {line["what"] for line in lines} == set(verbs.KINDS) - {"amendments", "charges", "risk", "resets", "book"}


def test_show_since_and_until_are_a_half_open_span(journal: Path, capsys: Capture) -> None:
    everything = shown(capsys, "tiny.json", "--kind", "equity", "--strategy", "one")
    times = [str(line["time"]) for line in everything]
    since, until = times[10], times[20]
    span = shown(capsys, "tiny.json", "--kind", "equity", "--strategy", "one", "--since", since, "--until", until)
    assert span == everything[10:20]
    assert shown(capsys, "tiny.json", "--kind", "equity", "--until", "2024-01-02") == []


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1970-01-02", 86_400 * 10**9),
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01T00:00:01Z", 10**9),
        ("1970-01-01T01:00:01+01:00", 10**9),
        ("2013-10-07 13:30", 1_381_152_600 * 10**9),
        ("1969-12-31T23:59:59.5", -500_000_000),
    ],
)
def test_time_on_the_command_line_is_utc_unless_it_says_otherwise(text: str, ns: int) -> None:
    assert verbs._time(text) == ns


def test_show_is_a_table_of_the_newest_lines(journal: Path, capsys: Capture) -> None:
    assert main(["journal", "show", "tiny.json", "--limit", "3"]) == 0
    out, err = capsys.readouterr()
    heading, rule, *lines = out.splitlines()
    assert heading.split() == ["time", "(UTC)", "strategy", "what", "symbol", "side", "quantity", "price", "details"]
    assert set(rule) == {"─"}
    assert len(lines) == 3
    assert lines[-1].split() == ["session", "the", "session", "has", "come", "to", "its", "end"]
    left_out = int(err.split()[0].replace(",", ""))
    assert main(["journal", "show", "tiny.json", "--limit", "0"]) == 0
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == left_out + 3 + 2
    assert err == ""


def test_show_in_words_has_orders_fills_and_trades(journal: Path, spine: Spine, capsys: Capture) -> None:
    assert main(["journal", "show", "tiny.json", "--strategy", "one", "--kind", "trades", "--limit", "0"]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()[2:]]
    (first, *_) = (trade for trade in events(spine.threads[0], Trade) if isinstance(trade, Trade))
    side = "long" if first.side == "buy" else "short"
    when = utc_text(first.exit_time)[:16].replace("T", " ") + "Z"
    assert rows[0].startswith(f"{when} trade {first.symbol} {side} {first.quantity:g} {round(first.exit_price, 8):g}")
    assert f"PnL {first.pnl:+,.2f}" in rows[0]
    assert len(rows) == len(events(spine.threads[0], Trade))


@pytest.mark.parametrize("width", [80, 120])
def test_lines_table_on_a_screen_breaks_only_names_and_details(journal: Path, width: int) -> None:
    import io

    from rich.console import Console

    found, _ = JournalLines(journal).newest(Wanted(journal_lines.USUAL), 60)
    console = Console(width=width, file=io.StringIO(), record=True)
    console.print(verbs.lines_table(found, width, True))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    whole = [line for line in lines if line.startswith("2024-01-0")]
    assert len(whole) == sum(bool(line.strategy) for line in found)


def test_show_of_an_unknown_strategy_says_which_there_are(journal: Path, capsys: Capture) -> None:
    assert main(["journal", "show", "tiny.json", "--strategy", "ome"]) == 2
    assert "did you mean 'one'? (there are: one, two)" in capsys.readouterr().err


def test_show_while_a_run_is_writing_gives_what_is_written(journal: Path, tmp_path: Path, capsys: Capture) -> None:
    with Journal(tmp_path / "copy.sqlite3", durable=True, session="tiny") as writer:
        entries = [Entry(*line) for line in _entries(journal)]
        assert writer.wait(writer.post(entries[:3]), 20)
        before = len(shown(capsys, str(writer.path), "--kind", "session", "--kind", "orders"))
        assert writer.wait(writer.post(entries[3:]), 20)
        after = shown(capsys, str(writer.path), "--kind", "session", "--kind", "orders")
    assert 1 <= before < len(after)
    assert after[-1]["ended"] is True


def _entries(path: Path) -> list[Entry]:
    from stratd.journal.reader import read_journal

    return [record.entry for record in read_journal(path)]


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "tinny.json"], "no such file; did you mean 'tiny.json'?"),
        (["show", "results/tiny/journal.sqlite"], "no such file; did you mean 'results/tiny/journal.sqlite3'?"),
        (["show", "tiny.json", "--results-dir", "elsewhere"], "session tiny has not kept a journal there"),
        (["show", "results/tiny", "--results-dir", "results"], "is a directory of results already"),
        (["show", "tiny.json", "--kind", "fils"], "did you mean 'fills'?"),
        (["show", "tiny.json", "--since", "yesterday"], "'yesterday' is not a time such as 2019-02-11"),
        (["export", "tiny.json", "--out", "a.txt"], "'a.txt' must end in .csv, .parquet, .jsonl"),
        (["export", "tiny.json", "--out", "nowhere/a.csv"], "there is no directory nowhere"),
        (["export", "tiny.json", "--out", "a.csv", "--kind", "checkpoints"], "invalid choice: 'checkpoints'"),
        (["export", "tiny.json", "--out", "a.csv", "--strategy", "tow"], "did you mean 'two'?"),
        (["shwo"], "did you mean 'show'?"),
    ],
)
def test_wrong_command_line_says_what_is_meant(journal: Path, argv: list[str], said: str, capsys: Capture) -> None:
    assert main(["journal", *argv]) in (2, 78)
    out, err = capsys.readouterr()
    assert (out, said in err) == ("", True), err
    assert not Path("a.csv").exists()


# verify


def test_verify_of_a_whole_journal_says_ok(journal: Path, spine: Spine, capsys: Capture) -> None:
    assert main(["journal", "verify", "tiny.json"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == "ok: no entry is missing or changed, and all money adds up"
    account = spine.threads[0].account
    assert account is not None
    (row,) = (line.split() for line in out.splitlines() if line.startswith("one "))
    counts = [f"{account.count(cell):,}" for cell in (c.C_ORDER_COUNT, c.C_FILL_COUNT, c.C_TRADE_COUNT)]
    assert row == [
        "one",
        *counts,
        "1",
        f"{account.final.cash:,.2f}",
        f"{account.final.realised_pnl:,.2f}",
        "0.00",
        str(account.count(c.C_OPEN)),
    ]


def test_verify_as_json_is_one_document(journal: Path, capsys: Capture) -> None:
    assert main(["journal", "verify", "tiny.json", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["session"], document["problems"], document["differences"]) == (True, "tiny", [], [])
    assert set(document["strategies"]) == set(NAMES)
    assert document["strategies"]["one"]["behind"] == 0


def test_verify_of_money_that_does_not_add_up_says_so_and_ends_with_1(journal: Path, tmp_path: Path, capsys: Capture) -> None:
    def change(table: object, at: int) -> object:
        table[at, c.R_MONEY] += 1  # type: ignore[index]
        return table

    changed = with_records(journal, tmp_path / "changed.sqlite3", c.FILL, change)  # type: ignore[arg-type]
    assert main(["journal", "verify", str(changed)]) == 1
    out = capsys.readouterr().out
    assert "wrong: " in out
    assert "cash: it says" in " ".join(out.split())
    assert main(["journal", "verify", str(changed), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["ok"], document["problems"]) == (False, [])
    assert document["differences"]


def test_verify_of_a_damaged_journal_names_the_entry_and_ends_with_1(journal: Path, tmp_path: Path, capsys: Capture) -> None:
    damaged = tmp_path / "damaged.sqlite3"
    shutil.copy(journal, damaged)
    with sqlite3.connect(damaged) as connection:
        connection.execute("UPDATE entries SET time = time + 1 WHERE seq = 4")
    connection.close()
    assert main(["journal", "verify", str(damaged), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["first_bad"], document["entries"], document["differences"]) == (4, 3, [])
    assert main(["journal", "show", str(damaged)]) == 1
    assert "is damaged: entry 4" in capsys.readouterr().err


def test_verify_of_another_file_says_that_it_is_no_journal(tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other.sqlite3"
    other.write_text("this is no journal")
    assert main(["journal", "verify", str(other)]) == 1
    assert "not a journal" in " ".join(capsys.readouterr().out.split())


def test_records_behind_the_last_checkpoint_are_noted_and_not_wrong(
    journal: Path, spine: Spine, tmp_path: Path, capsys: Capture
) -> None:
    cut = rewritten(
        journal, tmp_path / "cut.sqlite3", lambda record: iter(() if record.entry.kind in (4, 5) else (record.entry,))
    )
    assert main(["journal", "verify", str(cut)]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "records behind its last checkpoint, of a step that was not finished" in out
    assert main(["journal", "verify", str(cut), "--json"]) == 0
    strategies = json.loads(capsys.readouterr().out)["strategies"]
    for thread in spine.threads:
        assert thread.account is not None
        assert (strategies[thread.name]["cash"], strategies[thread.name]["checkpoints"]) == (thread.account.final.cash, 0)


def test_journal_that_does_not_say_what_its_symbols_are_is_refused(journal: Path, tmp_path: Path, capsys: Capture) -> None:
    headless = rewritten(journal, tmp_path / "headless", lambda record: iter(() if record.entry.kind == 1 else (record.entry,)))
    for verb in ("show", "verify"):
        assert main(["journal", verb, str(headless)]) == 1
        assert "cannot be understood (no entry before it says what its symbols are)" in capsys.readouterr().err


def test_record_of_another_version_is_refused(journal: Path, tmp_path: Path, capsys: Capture) -> None:
    def change(table: object, at: int) -> object:
        table[at, c.R_SYMBOL] = 99  # type: ignore[index]
        return table

    strange = with_records(journal, tmp_path / "strange", c.FILL, change)  # type: ignore[arg-type]
    for argv in (["show", "--limit", "0"], ["verify"]):
        assert main(["journal", *argv, str(strange)]) == 1
        assert "cannot be understood" in capsys.readouterr().err


# export


@pytest.mark.parametrize("kind", verbs.EXPORTED)
def test_export_is_the_same_in_every_format(journal: Path, tmp_path: Path, kind: str, capsys: Capture) -> None:
    for suffix in verbs.OUT_SUFFIXES:
        assert main(["journal", "export", "tiny.json", "--kind", kind, "--out", str(tmp_path / f"out{suffix}")]) == 0
    number = int(capsys.readouterr().out.splitlines()[0].split()[-2].replace(",", ""))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert len(lines) == number
    table = pq.read_table(tmp_path / "out.parquet")
    assert table.column_names == ["time", "strategy", *COLUMNS[kind]]
    assert table.num_rows == number
    with open(tmp_path / "out.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [list(row) for row in rows[:1]] == [table.column_names] * min(1, number)
    for line, row, values in zip(lines, rows, table.to_pylist(), strict=True):
        assert list(line) == table.column_names
        for name, value in line.items():
            plain = values[name]
            if name == "time" or name.endswith("_time"):
                plain = utc_text(int(plain.value))
            assert value == plain
            assert row[name] == ("" if value is None else str(value).lower() if isinstance(value, bool) else row[name])
            if isinstance(value, float):
                assert float(row[name]) == value
    assert sorted(os.listdir(tmp_path)) == ["out.csv", "out.jsonl", "out.parquet"]


def test_export_of_shown_lines_of_one_strategy_is_what_show_says(journal: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "trades.jsonl"
    assert main(["journal", "export", "tiny.json", "--kind", "trades", "--strategy", "two", "--out", str(out)]) == 0
    capsys.readouterr()
    found = shown(capsys, "tiny.json", "--kind", "trades", "--strategy", "two")
    for line in found:
        del line["sequence"], line["what"]
    assert [json.loads(line) for line in out.read_text().splitlines()] == found


def test_export_to_a_full_disk_says_so_and_leaves_nothing(
    journal: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    assert main(["journal", "export", "tiny.json", "--out", str(tmp_path / "a.csv")]) == 1
    assert "a.csv cannot be written (No space left on device); make room" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []


def test_export_over_the_journal_itself_is_refused(journal: Path, tmp_path: Path, capsys: Capture) -> None:
    copy = tmp_path / "journal.csv"
    shutil.copy(journal, copy)
    before = copy.read_bytes()
    assert main(["journal", "export", str(copy), "--out", str(copy)]) == 2
    assert "is the journal that is read" in capsys.readouterr().err
    assert copy.read_bytes() == before


def test_journal_without_an_action_prints_help(capsys: Capture) -> None:
    assert main(["journal"]) == 0
    assert capsys.readouterr().out.startswith("usage: stratd journal")


def test_show_on_a_terminal_keeps_to_its_width(journal: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["journal", "show", "tiny.json", "--limit", "20"]) == 0
    import re

    lines = re.sub(r"\x1b\[[\d;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 80
