"""What `stratd run` would go on with, found without changing anything."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stratd.system.config import SessionConfig


def preview(config: SessionConfig, results_dir: str | None) -> list[str]:
    """What would become of the session if it were run now, in lines. The same words as those of the run itself.

    The journal is only read: neither claimed, nor replaced, nor put aside, also where the run would do so.

    Raises:
        JournalError: the run could not go on with it, and why.
        CalendarError: a calendar is unknown.
    """
    from stratd.core.clock import SystemClock
    from stratd.execution.account_journal import read_past
    from stratd.execution.terms import TradingTerms
    from stratd.journal.reader import read_journal
    from stratd.system.builder import build_market
    from stratd.system.session_journal import check_same, journal_path, restart_plan

    path = journal_path(config, config.results_path if results_dir is None else Path(results_dir))
    if not config.journal.enabled:
        return ["the session keeps no journal (journal.enabled is false): it would begin anew"]
    if config.journal.durable is False:
        return [f"the session's journal is not durable (journal.durable is false): it would begin anew, and replace {path}"]
    if not path.exists():
        return [f"there is no {path}: it would begin anew"]
    session, pasts = read_past((record.sequence, record.entry) for record in read_journal(path))
    if session is None:
        return [f"{path} has no entries: it would begin anew"]
    if session.get("ended"):
        return [
            f"{path} is of a session that has come to its end: it would be kept under another name, and the session begin anew"
        ]
    market = build_market(config, SystemClock())
    terms = TradingTerms(market.symbols, market.instruments, market.calendars, market.calendar_of, 0)
    about = {
        "symbols": list(terms.symbols),
        "ticks": [entry.tick for entry in terms.instruments],
        "lots": [entry.lot for entry in terms.instruments],
    }
    check_same(session, about, path)
    names = {entry.name for _, entry in config.enabled_strategies}
    lines = restart_plan(pasts, terms, config)
    fresh = sorted(names - {name for name, past in pasts.items() if past.time >= 0})
    lines += [f"{name} begins anew: nothing of it was recorded" for name in fresh]
    return [f"it would go on with {path}:", *(f"  {line}" for line in lines)]
