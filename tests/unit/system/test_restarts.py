"""What a restart must know besides what accounts hold: what a person has reset, which rules have changed, where the book was."""

from __future__ import annotations

import functools
import getpass
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog

from stratd.cli.journal_money import check_money
from stratd.cli.places import SessionPlace
from stratd.cli.resets import ask_for_resets
from stratd.core.clock import SystemClock
from stratd.errors import JournalError, SessionError, UsageError
from stratd.execution.account_journal import BOOK, CHECKPOINT, POINTS, RESET, SESSION
from stratd.execution.session_past import read_session, stopped_by
from stratd.execution.terms import TradingTerms
from stratd.journal.entry import Entry
from stratd.journal.journal import Journal
from stratd.journal.reader import read_journal
from stratd.journal.verify import verify
from stratd.model import TradingState
from stratd.system.builder import build_market, build_session
from stratd.system.config import SessionConfig
from stratd.system.manager import SystemManager
from stratd.system.result import RunOptions, SessionResult
from stratd.system.session_journal import SessionJournal, open_journal
from stratd.testing.bars import BarRow, series
from tests.support.replays import entry, session
from tests.support.row_feed import RowFeed, merged

SYMBOLS = ("AAA", "BBB")
DRAWDOWN = {"drawdown_fraction": 0.00001}
ACCOUNT = {"commission": {"per_share": 0.005}}


@functools.cache
def rows() -> tuple[BarRow, ...]:
    walks = 40.0 + np.cumsum(np.random.default_rng(3).integers(-5, 6, (2, 260)), axis=1) / 100
    each = [
        series([round(close, 2) for close in walk.tolist()], symbol=symbol) for symbol, walk in zip(SYMBOLS, walks, strict=True)
    ]
    return tuple(merged(each, SYMBOLS))


def config(
    names: tuple[str, ...] = ("Listener", "Bracketeer"), tick: float = 0.01, quote: str = "USD", **more: Any
) -> SessionConfig:
    entries = [entry("crash_troupe", name, name.lower()) for name in names]
    symbols = [{"symbol": symbol, "quote": quote} for symbol in SYMBOLS]
    return SessionConfig.model_validate(session(symbols, [5], entries, tick=tick, **more))


def options(results: Path) -> RunOptions:
    return RunOptions(durable=True, results_dir=str(results))


def run(results: Path, given: SessionConfig, minutes: int = 260) -> SessionResult:
    """Run the first minutes."""
    return SystemManager(given, options(results), feed=RowFeed(rows()[: 2 * minutes])).run()


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Results of a run that ended after some minutes as if it had been killed."""

    def made(given: SessionConfig, minutes: int = 130) -> Path:
        with monkeypatch.context() as patch:
            patch.setattr(SessionJournal, "close", lambda self, finished: self.journal.close())
            run(tmp_path / "results", given, minutes)
        return tmp_path / "results"

    return made


def place(results: Path) -> SessionPlace:
    directory = results / "replay"
    return SessionPlace("replay", directory, directory / "journal.sqlite3")


def past_of(results: Path) -> Any:
    return read_session((record.sequence, record.entry) for record in read_journal(place(results).journal))


def check_verified(results: Path) -> None:
    report = verify(place(results).journal)
    assert report.problems == ()
    assert check_money(place(results).journal, report.entries)[1] == []


def risks(results: Path, name: str) -> list[tuple[str, str]]:
    """Trading states that a strategy's account went to, and why."""
    from stratd.cli.journal_lines import JournalLines, Wanted

    lines = JournalLines(place(results).journal).all(Wanted(["risk"], name))
    return [(line.values["state"], line.values["reason"]) for line in lines]


# Resets of a strategy.


def test_reset_strategy_is_active_from_the_next_start_on_and_trades_again(interrupted: Callable[..., Path]) -> None:
    given = config(account={**ACCOUNT, "risk": DRAWDOWN})
    results = interrupted(given)
    before = past_of(results).pasts["bracketeer"]
    assert stopped_by(before)[:2] == (TradingState.HALTED, "drawdown")
    (line,) = ask_for_resets(place(results), ["bracketeer"], False, "quotes were wrong")
    assert line.startswith("bracketeer is active from the next start on (it is halted: drawdown)")
    after = past_of(results)
    assert (after.resets["bracketeer"].by, after.resets["bracketeer"].reason) == (getpass.getuser(), "quotes were wrong")

    result = run(results, given)
    assert any(
        line.startswith("bracketeer goes on after") and "halted; it is active again: reset by" in line
        for line in result.restart_plan
    )
    assert risks(results, "bracketeer")[:2] == [("halted", "drawdown"), ("active", "a person")]
    # It is as stopped as before until it has lost as much again, and not at once.
    orders = sum(len(one) for one in past_of(results).pasts["bracketeer"].records) - sum(len(one) for one in before.records)
    assert orders > 5
    check_verified(results)


def test_reset_peak_and_day_begin_anew_and_other_accounts_are_as_they_were(interrupted: Callable[..., Path]) -> None:
    given = config(account={**ACCOUNT, "risk": DRAWDOWN | {"daily_loss_fraction": 0.0005}})
    results = interrupted(given)
    ask_for_resets(place(results), ["bracketeer"], False, "")
    before = past_of(results)
    made = build_session(given, options(results), RowFeed(rows()))
    try:
        from stratd.portfolio import cells as c

        accounts = {thread.name: thread.account for thread in made.strategies.threads}
        cells = accounts["bracketeer"].cells  # type: ignore[union-attr]
        equity = int(cells[c.C_CASH] + cells[c.C_VALUE])
        assert [int(cells[at]) for at in (c.C_STATE, c.C_PEAK, c.C_DAY_START, c.C_LOSSES)] == [c.ACTIVE, equity, equity, 0]
        other = accounts["listener"]
        assert other is not None
        assert other.trading_state is stopped_by(before.pasts["listener"])[0]
    finally:
        made.close()
    # It was on the disk before anything else, and is not done twice: the next start finds it done.
    after = past_of(results)
    assert after.resets == {}
    assert stopped_by(after.pasts["bracketeer"])[0] is TradingState.ACTIVE
    assert risks(results, "bracketeer") == [("halted", "drawdown"), ("active", "a person")]
    check_verified(results)


def test_reset_what_cannot_be_reset_says_why_and_changes_nothing(interrupted: Callable[..., Path]) -> None:
    given = config(account={**ACCOUNT, "risk": DRAWDOWN})
    results = interrupted(given, 40)
    path = place(results).journal
    before = list(read_journal(path))
    states = {name: stopped_by(one)[0] for name, one in past_of(results).pasts.items()}
    active = [name for name, state in states.items() if state is TradingState.ACTIVE]
    assert active
    with pytest.raises(SessionError, match=f"{active[0]} is active: no limit has stopped it"):
        ask_for_resets(place(results), active, False, "")
    with pytest.raises(UsageError, match=r"--strategy bracketer: .*did you mean 'bracketeer'\?.*there are: bracketeer, listener"):
        ask_for_resets(place(results), ["bracketer"], False, "")
    with pytest.raises(SessionError, match="nothing of a book was recorded"):
        ask_for_resets(place(results), [], True, "")
    with (
        Journal(path, durable=True, session="replay"),
        pytest.raises(
            SessionError, match=r"process \d+ runs replay now, .*stop it \(kill -TERM \d+\), reset, and start it again"
        ),
    ):
        ask_for_resets(place(results), ["bracketeer"], False, "")
    assert list(read_journal(path)) == before


def test_reset_twice_says_who_has_done_it(interrupted: Callable[..., Path]) -> None:
    results = interrupted(config(account={**ACCOUNT, "risk": DRAWDOWN}))
    ask_for_resets(place(results), ["bracketeer"], False, "")
    with pytest.raises(SessionError, match="bracketeer was reset already, by "):
        ask_for_resets(place(results), ["bracketeer"], False, "")


def test_reset_of_a_session_that_begins_anew_anyway_says_so(tmp_path: Path) -> None:
    given = config(("Listener",))
    with pytest.raises(SessionError, match=r"no such file, so nothing of replay is stopped"):
        ask_for_resets(place(tmp_path), ["listener"], False, "")
    run(tmp_path, given, 60)
    with pytest.raises(SessionError, match="is of a session that has come to its end, so its next run begins anew"):
        ask_for_resets(place(tmp_path), ["listener"], False, "")
    SystemManager(given, RunOptions(results_dir=str(tmp_path / "b")), feed=RowFeed(rows()[:80])).run()
    with pytest.raises(SessionError, match="is of a backtest"):
        ask_for_resets(place(tmp_path / "b"), ["listener"], False, "")


# The book.


def with_book(**risk: Any) -> SessionConfig:
    return config(account=ACCOUNT, book={"risk": risk})


def test_book_after_a_restart_halts_at_the_same_step_as_an_undisturbed_run(
    interrupted: Callable[..., Path], tmp_path: Path
) -> None:
    undisturbed = run(tmp_path / "whole", with_book(drawdown_fraction=0.00002))
    assert undisturbed.book is not None
    assert (undisturbed.book.state, undisturbed.book.limit) == ("halted", "drawdown")
    for minutes in (20, 45, 70):
        results = interrupted(with_book(drawdown_fraction=0.00002), minutes).rename(tmp_path / f"{minutes}")
        again = run(results, with_book(drawdown_fraction=0.00002))
        assert again.restart_plan
        assert again.book == undisturbed.book
        assert again.ledger_hash == undisturbed.ledger_hash
        check_verified(results)


def test_book_peak_is_known_after_a_restart(interrupted: Callable[..., Path]) -> None:
    results = interrupted(with_book(drawdown_fraction=0.5))
    past = past_of(results)
    assert past.book["monitor"]["peak"] > past.book["monitor"]["equity"]
    made = build_session(with_book(drawdown_fraction=0.5), options(results), RowFeed(rows()))
    try:
        assert made.book is not None
        assert made.book.monitor.peak == past.book["monitor"]["peak"]
    finally:
        made.close()


def test_reset_book_and_all_that_it_has_stopped(interrupted: Callable[..., Path]) -> None:
    given = with_book(drawdown_fraction=0.00002)
    results = interrupted(given)
    with pytest.raises(SessionError, match="bracketeer is halted because the book is: reset the book, with --book"):
        ask_for_resets(place(results), ["bracketeer"], False, "")
    (line,) = ask_for_resets(place(results), [], True, "")
    assert line.startswith(
        "the book is active from the next start on (it is halted); its day and its highest equity begin anew from "
    )
    assert "; so are " in line
    assert set(past_of(results).resets) == {"", "listener", "bracketeer"}
    with pytest.raises(SessionError, match="the book was reset already"):
        ask_for_resets(place(results), [], True, "")
    before = past_of(results).book["approved"]
    result = run(results, given)
    assert any(line.startswith("the book goes on") and "it is active again: reset by" in line for line in result.restart_plan)
    assert result.book is not None
    assert result.book.approved > before
    assert risks(results, "bracketeer")[:2] == [("halted", "the book's risk"), ("active", "a person")]
    check_verified(results)


def test_reset_book_that_is_active_says_so(interrupted: Callable[..., Path]) -> None:
    results = interrupted(with_book(drawdown_fraction=0.9))
    with pytest.raises(SessionError, match="the book is active: no limit has stopped it"):
        ask_for_resets(place(results), [], True, "")


def test_book_of_other_capital_has_neither_gained_nor_lost_it(interrupted: Callable[..., Path], tmp_path: Path) -> None:
    risk = {"drawdown_fraction": 0.1}
    results = interrupted(config(account=ACCOUNT, book={"capital": 300_000.0, "risk": risk}))
    result = run(results, config(account=ACCOUNT, book={"capital": 200_000.0, "risk": risk}))
    assert "changed: book: capital is 200000.0, and was 300000.0" in result.restart_plan
    assert result.book is not None
    assert result.book.state == "active"
    assert 199_000 < result.book.peak < 201_000


def test_book_with_one_more_strategy_goes_on_with_its_money(interrupted: Callable[..., Path]) -> None:
    risk = {"drawdown_fraction": 0.1}
    results = interrupted(config(("Listener",), account=ACCOUNT, book={"risk": risk}))
    result = run(results, config(("Listener", "Bracketeer"), account=ACCOUNT, book={"risk": risk}))
    assert result.book is not None
    assert result.book.state == "active"
    assert 199_000 < result.book.peak < 201_000


def test_book_of_a_backtest_is_recorded_once_at_its_end(tmp_path: Path) -> None:
    result = SystemManager(with_book(), RunOptions(results_dir=str(tmp_path)), feed=RowFeed(rows())).run()
    kinds = [record.entry.kind for record in read_journal(place(tmp_path).journal)]
    assert (kinds.count(BOOK), kinds.count(CHECKPOINT)) == (1, 2)
    assert result.book is not None
    assert result.book.approved == past_of(tmp_path).book["approved"]
    check_verified(tmp_path)


def test_book_that_cannot_be_read_says_so(interrupted: Callable[..., Path]) -> None:
    from stratd.execution.session_past import unpack_book

    for payload in (b"", b"{}", b'{"version": 9}'):
        with pytest.raises(JournalError, match="what the book goes on with cannot be read"):
            unpack_book(payload)


# Rules.


def opened(results: Path, given: SessionConfig) -> SessionJournal:
    market = build_market(given, SystemClock())
    terms = TradingTerms(market.symbols, market.instruments, market.calendars, market.calendar_of, 10)
    found = open_journal(given, options(results), results, terms, SystemClock())
    assert found is not None
    return found


def begun(results: Path, given: SessionConfig) -> None:
    """Leave a journal behind in which something has happened."""
    found = opened(results, given)
    found.journal.post([Entry("listener", POINTS, 1, np.ones((1, 2), np.int64).tobytes())])
    found.close(False)


def descriptions(results: Path) -> list[dict[str, Any]]:
    return [json.loads(record.entry.payload) for record in read_journal(place(results).journal) if record.entry.kind == SESSION]


def test_session_entry_has_rules_and_limits_of_every_strategy(tmp_path: Path) -> None:
    opened(tmp_path, config(account={**ACCOUNT, "leverage": 2.0, "risk": DRAWDOWN}, book={"netting": "internal"})).close(False)
    (said,) = descriptions(tmp_path)
    assert said["version"] == 2
    assert said["quotes"] == ["USD", "USD"]
    assert said["capital"] == {"bracketeer": 100_000.0, "listener": 100_000.0}
    rules = said["rules"]["listener"]
    assert rules["account"]["leverage"] == 2.0
    assert rules["account"]["commission"]["per_share"] == 0.005
    assert (rules["risk"]["drawdown_fraction"], rules["risk"]["drawdown_policy"]) == (0.00001, "halt")
    assert said["book"]["netting"] == "internal"


CHANGES: list[tuple[dict[str, Any], list[str]]] = [
    ({"account": {"commission": {"per_share": 0.01}}}, ["account.commission.per_share is 0.01, and was 0.005"]),
    ({"account": ACCOUNT | {"slippage": {"bps": 2.0}}}, ["account.slippage.bps is 2.0, and was 0.0"]),
    ({"account": ACCOUNT | {"leverage": 3.0}}, ["account.leverage is 3.0, and was 1.0"]),
    ({"account": ACCOUNT | {"latency_seconds": 1.0}}, ["account.latency_seconds is 1.0, and was 0.0"]),
    ({"account": ACCOUNT | {"fill": "close"}}, ["account.fill is close, and was next_open"]),
    ({"account": ACCOUNT | {"risk": {"daily_loss_fraction": 0.1}}}, ["risk.daily_loss_fraction is 0.1, and was null"]),
]


@pytest.mark.parametrize(("changed", "said"), CHANGES)
def test_rules_that_have_changed_are_allowed_and_said_in_plan_log_and_journal(
    tmp_path: Path, changed: dict[str, Any], said: list[str]
) -> None:
    begun(tmp_path, config(account=ACCOUNT))
    with structlog.testing.capture_logs() as logs:
        found = opened(tmp_path, config(**changed))
        found.close(False)
    lines = [f"{name}: {line}" for name in ("listener", "bracketeer") for line in said]
    assert sorted(found.plan) == sorted(f"changed: {line}" for line in lines)
    assert sorted(line["change"] for line in logs if "change" in line) == sorted(lines)
    first, second = descriptions(tmp_path)
    assert sorted(second["changed"]) == sorted(lines)
    assert first["rules"] != second["rules"]
    # Said once: the next start finds them as they are.
    again = opened(tmp_path, config(**changed))
    again.close(False)
    assert (again.plan, len(descriptions(tmp_path))) == ([], 2)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"account": {"allocated_capital": 5_000.0}}, r"allocated_capital of listener \(100,000.00, and 5,000.00 now\)"),
        ({"account": {"lots": "fifo"}}, r"account.lots of listener \(average, and fifo now\)"),
        ({"quote": "EUR"}, "quotes"),
        ({"tick": 0.05}, "ticks"),
    ],
)
def test_rules_that_give_past_records_another_meaning_are_refused(tmp_path: Path, changed: dict[str, Any], said: str) -> None:
    begun(tmp_path, config(("Listener",)))
    with pytest.raises(JournalError, match=f"was kept with other {said} than the session has now.*put them back"):
        opened(tmp_path, config(("Listener",), **changed))
    assert len(descriptions(tmp_path)) == 1
    opened(tmp_path, config(("Listener",))).close(False)  # nobody has it


def test_strategy_that_is_gone_for_a_while_comes_back_only_with_its_capital(tmp_path: Path) -> None:
    begun(tmp_path, config())
    opened(tmp_path, config(("Listener",))).close(False)
    assert descriptions(tmp_path)[-1]["capital"] == {"bracketeer": 100_000.0, "listener": 100_000.0}
    with pytest.raises(JournalError, match="allocated_capital of listener .* and allocated_capital of bracketeer"):
        opened(tmp_path, config(account={"allocated_capital": 7.0}))


def test_journal_of_a_version_that_kept_no_rules_is_gone_on_with_and_says_them_from_now_on(tmp_path: Path) -> None:
    path = place(tmp_path).journal
    path.parent.mkdir(parents=True)
    about = {"symbols": list(SYMBOLS), "ticks": [0.01, 0.01], "lots": [1.0, 1.0], "session": "replay", "durable": True}
    with Journal(path, durable=True, session="replay") as journal:
        journal.post([Entry("", SESSION, 0, json.dumps(about).encode())])
    found = opened(tmp_path, config())
    found.close(False)
    assert found.plan == []
    assert "rules" in descriptions(tmp_path)[-1]


def test_run_with_a_tighter_limit_after_a_restart_goes_by_it(interrupted: Callable[..., Path]) -> None:
    results = interrupted(config(account=ACCOUNT))
    result = run(results, config(account=ACCOUNT | {"risk": {"drawdown_fraction": 0.00001}}))
    assert {one.trading_state for one in result.strategies.values()} == {"halted"}
    assert len([line for line in result.restart_plan if line.startswith("changed: ")]) == 2
    check_verified(results)


def test_journal_with_resets_and_a_book_is_shown(interrupted: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    from stratd.cli.main import main

    results = interrupted(with_book(drawdown_fraction=0.00002))
    ask_for_resets(place(results), [], True, "all is well")
    assert RESET in {record.entry.kind for record in read_journal(place(results).journal)}
    assert main(["journal", "show", str(place(results).journal), "--kind", "resets", "--kind", "book", "--kind", "session"]) == 0
    out = capsys.readouterr().out
    assert "the book, which was halted" in out
    assert "the account, which was halted" in out
    assert "all is well" in out
    assert "halted: drawdown" in out
    assert main(["journal", "show", str(place(results).journal), "--kind", "resets", "--json"]) == 0
    lines = json.loads(capsys.readouterr().out)["lines"]
    assert [line["of_book"] for line in lines].count(True) == 1
    assert all(line["asked_time"].endswith("Z") for line in lines)


def test_strategy_that_is_gone_is_looked_after_by_its_own_rules(interrupted: Callable[..., Path]) -> None:
    own = {"allocated_capital": 50_000.0, "lots": "fifo", "commission": {"per_share": 0.01}}
    plain = config(account=ACCOUNT).model_dump(exclude_unset=True, mode="json")
    plain["strategies"][0]["account"] = own
    plain["strategies"][0]["risk"] = {"max_order_quantity": 77.0}
    given = SessionConfig.model_validate(plain)
    results = interrupted(given, 45)
    rest = config(("Bracketeer",), account=ACCOUNT, journal={"on_orphan": "adopt"})
    made = build_session(rest, options(results), RowFeed(rows()))
    try:
        accounts = {thread.name: thread.account for thread in made.strategies.threads}
        account = accounts["listener"]
        assert account is not None
        assert account.rules == given.account_rules(given.strategies[0])
        assert account.rules.allocated_capital == 50_000.0
        assert account._limits.max_order_quantity == 77.0
    finally:
        made.close()


def test_strategy_of_a_book_that_ends_for_errors_has_its_last_checkpoint_with_the_books(tmp_path: Path) -> None:
    plain = config(("Bracketeer", "Breaking"), account=ACCOUNT, book={}).model_dump(exclude_unset=True, mode="json")
    plain["strategies"][1]["max_errors"] = 0
    result = run(tmp_path, SessionConfig.model_validate(plain), 90)
    assert result.strategies["breaking"].state == "QUARANTINED"
    entries = [(record.group, record.entry) for record in read_journal(place(tmp_path).journal)]
    last = max(group for group, one in entries if one.owner == "breaking" and one.kind == CHECKPOINT)
    assert [one.kind for group, one in entries if group == last][-1] == BOOK
    book = past_of(tmp_path)
    # Of its trades all are counted, and its position is in the book's money.
    assert book.book["trades"].keys() == {"bracketeer", "breaking"}
    assert result.book is not None
    capital = sum(one.final_equity for one in result.strategies.values())
    assert (
        abs(result.book.equity - capital) < 50
    )  # what it holds is marked at the market's last close, and its own account's is older
    check_verified(tmp_path)


def test_book_that_halts_a_strategy_which_has_not_traded_yet_halts_it_again_after_a_restart(
    interrupted: Callable[..., Path], tmp_path: Path
) -> None:
    # It has no checkpoint then: nothing but that has happened to its account.
    plain = config(("Bracketeer", "Late"), account=ACCOUNT, book={"risk": {"drawdown_fraction": 0.00001}})
    undisturbed = run(tmp_path / "whole", plain)
    assert undisturbed.strategies["late"].trading_state == "halted"
    assert undisturbed.strategies["late"].refused == {"halted": 1}
    for minutes in (21, 22, 23, 24, 60):
        results = interrupted(plain, minutes).rename(tmp_path / f"{minutes}")
        again = run(results, plain)
        assert again.strategies["late"].refused == {"halted": 1}
        assert again.book == undisturbed.book
        assert again.ledger_hash == undisturbed.ledger_hash
        assert risks(results, "late") == [("halted", "the book's risk")]
        check_verified(results)
