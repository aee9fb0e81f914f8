"""stratd halt, stratd resume: the kill switch, and resets of what running limits have stopped."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Final

from stratd.cli.places import SessionPlace, find_place
from stratd.errors import SessionError, UsageError

FILE_NAME: Final = "HALT"
"""The kill switch: a session takes no order while a file of this name is in its directory of results."""

_DEFAULT_REASON: Final = "halted by hand"


def add_verbs(verbs: Any) -> None:
    """Add `halt` and `resume`."""
    halt = verbs.add_parser(
        "halt",
        help="stop a session's trading at once",
        description="Throw a session's kill switch: no new order is let through, open orders are cancelled, positions stay as they are. "
        "It holds until `stratd resume`, for runs that begin later too.",
    )
    halt.add_argument("--reason", metavar="TEXT", default="", help="why; it is said where orders are refused")
    resume = verbs.add_parser(
        "resume",
        help="let a halted session trade again",
        description="Release a session's kill switch: new orders are let through again; orders that were cancelled stay cancelled. "
        "With --strategy or --book: let trade again what a running limit (daily loss, drawdown, losing trades, exposure) has reduced "
        "or halted, from the session's next start on; the session must not be running. The kill switch is then left as it is.",
    )
    resume.add_argument(
        "--strategy",
        metavar="NAME",
        action="append",
        default=[],
        help="reset this strategy's account; may be given more than once",
    )
    resume.add_argument("--book", action="store_true", help="reset the book, and the accounts that it has stopped")
    resume.add_argument("--reason", metavar="TEXT", default="", help="why, with --strategy or --book; it is kept in the journal")
    for parser, handler in ((halt, halt_session), (resume, resume_session)):
        parser.add_argument("session", metavar="SESSION", type=Path, help="session file, or directory of its results")
        parser.add_argument(
            "--results-dir", metavar="DIR", help="where the session leaves its results, if it is run with this option"
        )
        parser.set_defaults(handler=handler, parser=parser)


def halt_session(arguments: argparse.Namespace) -> int:
    """Throw the kill switch."""
    place = find_place(arguments.session, arguments.results_dir)
    file = place.directory / FILE_NAME
    given = " ".join(arguments.reason.split())
    before = _reason(file)
    if before is not None and given in ("", before):
        print(f"{place.name} was halted already: {before}")
    else:
        reason = given or _DEFAULT_REASON
        _write(file, reason)
        print(f"{place.name} is halted: {reason}" + ("" if before is None else f" (before: {before})"))
    print(f"  no new order is let through, open orders are cancelled, positions stay as they are ({file})")
    print(f"  {_who_runs(place)}")
    print(f"  to trade again: stratd resume {_again(arguments)}")
    return 0


def resume_session(arguments: argparse.Namespace) -> int:
    """Release the kill switch, or reset what a limit has stopped."""
    place = find_place(arguments.session, arguments.results_dir)
    file = place.directory / FILE_NAME
    if arguments.strategy or arguments.book:
        from stratd.cli.resets import ask_for_resets, kill_switch_line

        lines = ask_for_resets(place, arguments.strategy, arguments.book, " ".join(arguments.reason.split()))
        for line in [*lines, *kill_switch_line(file, _again(arguments))]:
            print(line)
        print(f"  what it goes on with: stratd run {_again(arguments)} --preview")
        return 0
    if arguments.reason:
        raise UsageError("--reason is kept with a reset: say of what, with --strategy NAME or --book")
    before = _reason(file)
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise SessionError(f"{file}: cannot be removed ({error.strerror or error}), so {place.name} stays halted") from error
    if before is None:
        print(f"{place.name} was not halted: there is no {file}")
    else:
        print(f"{place.name} is not halted any more (it was: {before})")
        print(
            "  new orders are let through again; those that were cancelled stay cancelled; what a risk limit has halted stays halted "
            "(--strategy NAME and --book reset that)"
        )
    print(f"  {_who_runs(place)}")
    return 0


def _reason(file: Path) -> str | None:
    """Why it is halted; None where it is not."""
    try:
        return " ".join(file.read_text(encoding="utf-8", errors="replace").split()) or _DEFAULT_REASON
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:  # it is there all the same
        return f"for a reason that cannot be read: {error.strerror or error}"


def _write(file: Path, reason: str) -> None:
    """Put the file there whole: a session that looks at this moment reads all of the reason.

    Raises:
        SessionError: it cannot be written, and nothing is halted.
    """
    unfinished = file.with_name(f"{FILE_NAME}.{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        try:
            unfinished.write_text(f"{reason}\n", encoding="utf-8")
            os.replace(unfinished, file)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise SessionError(
            f"{file}: cannot be written ({error.strerror or error}), so NOTHING IS HALTED; make room or put a file of this name there"
        ) from error


def _who_runs(place: SessionPlace) -> str:
    """Whether somebody is there to hear of it. A kill switch in the wrong directory stops nobody."""
    from stratd.cli.running import writer_of

    process = writer_of(place.journal)
    if process is not None:
        return f"process {process} runs it now"
    return (
        f"no run of it can be seen here: nobody writes {place.journal}. If one is going on, its results are elsewhere: "
        "say where with --results-dir"
    )


def _again(arguments: argparse.Namespace) -> str:
    """The same place, as it was given here."""
    import shlex

    place = shlex.quote(str(arguments.session))
    return place if arguments.results_dir is None else f"{place} --results-dir {shlex.quote(arguments.results_dir)}"
