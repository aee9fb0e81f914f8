"""stratd journal: what was recorded, whether it is whole and adds up, and the same as a file."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stratd.cli.output import count_text, make_console, make_grid, make_table, say, time_text, write_json
from stratd.cli.parser import whole_number
from stratd.cli.places import find_journal
from stratd.core.names import nearest
from stratd.errors import UsageError

if TYPE_CHECKING:
    from stratd.cli.journal_lines import JournalLines, Line, Wanted
    from stratd.cli.journal_money import StrategyMoney
    from stratd.journal.verify import VerifyReport

# As journal_lines has them; here too, because that loads numpy, which --help need not wait for. A test compares them.
KINDS: Final = (
    "orders", "fills", "ended", "trades", "refused", "cancels", "amendments", "charges", "risk", "resets", "equity", "checkpoints",
    "book", "session",
)  # fmt: skip
EXPORTED: Final = ("fills", "orders", "ended", "trades", "refused", "charges", "risk", "equity")
OUT_SUFFIXES: Final = (".csv", ".parquet", ".jsonl")
SHOWN: Final = 100
_UNBROKEN: Final = 10_000
_NEVER: Final = -(2**63)
_ALWAYS: Final = 2**63 - 1


def add_verbs(verbs: Any) -> None:
    """Add `journal` with `show`, `verify` and `export`."""
    journal = verbs.add_parser(
        "journal",
        help="show, verify and export what a session recorded",
        description="Read the record of a session's orders, fills and money. Nothing here changes it; all of it works while the "
        "session runs, too.",
    )
    journal.set_defaults(handler=_print_help, parser=journal)
    actions = journal.add_subparsers(title="actions", metavar="ACTION", dest="action")

    show = actions.add_parser(
        "show", help="what was recorded, in order", description="Show what was recorded, in order, the newest lines."
    )
    _add_place(show)
    _add_choice(show)
    show.add_argument("--kind", choices=KINDS, action="append", help="only this; may be given more than once")
    show.add_argument(
        "--limit", type=whole_number(0), metavar="N", help=f"the newest N lines (default: {SHOWN}, with --json all; 0: all)"
    )
    show.add_argument("--json", action="store_true", help="print one JSON document")
    show.set_defaults(handler=show_lines, parser=show)

    verify = actions.add_parser(
        "verify",
        help="is it whole, and does its money add up",
        description="Check that no entry is missing or changed, and that the fills and charges of every strategy add up to what its "
        "checkpoints say, unit by unit. Ends with 1 if anything is wrong.",
    )
    _add_place(verify)
    verify.add_argument("--json", action="store_true", help="print one JSON document")
    verify.set_defaults(handler=verify_one, parser=verify)

    export = actions.add_parser(
        "export", help="write fills, orders, trades or equity to a file", description="Write what was recorded to a file."
    )
    _add_place(export)
    _add_choice(export)
    export.add_argument("--kind", choices=EXPORTED, default="fills", help="what to write (default: fills)")
    export.add_argument(
        "--out",
        required=True,
        metavar="FILE",
        type=_out_file,
        help="file to write (.csv, .parquet, .jsonl); replaced if it is there",
    )
    export.set_defaults(handler=export_lines, parser=export)


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "place", metavar="SESSION|FILE", type=Path, help="session file, directory of its results, or the journal itself"
    )
    parser.add_argument("--results-dir", metavar="DIR", help="where the session left its results, if it was run with this option")


def _add_choice(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--strategy", default="", metavar="NAME", help="only of this strategy")
    parser.add_argument(
        "--since", type=_time, default=_NEVER, metavar="TIME", help="from this time on: 2019-02-11 or 2019-02-11T15:30, UTC"
    )
    parser.add_argument("--until", type=_time, default=_ALWAYS, metavar="TIME", help="before this time, UTC")


def _time(text: str) -> int:
    """A time on the command line, ns UTC."""
    try:
        moment = datetime.fromisoformat(text.upper().replace("Z", "+00:00") if text[-1:] in "zZ" else text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as 2019-02-11 or 2019-02-11T15:30") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment
    since_1970 = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return ((since_1970.days * 86_400 + since_1970.seconds) * 1_000_000 + since_1970.microseconds) * 1_000


def _out_file(text: str) -> Path:
    if Path(text).suffix.lower() not in OUT_SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {', '.join(OUT_SUFFIXES)}")
    return Path(text)


def _print_help(arguments: argparse.Namespace) -> int:
    arguments.parser.print_help()
    return 0


def show_lines(arguments: argparse.Namespace) -> int:
    """Print what was recorded."""
    from stratd.cli.journal_lines import USUAL, JournalLines

    source = JournalLines(find_journal(arguments.place, arguments.results_dir))
    limit = (0 if arguments.json else SHOWN) if arguments.limit is None else arguments.limit
    found, left_out = source.newest(_wanted(arguments, arguments.kind or USUAL), limit or None)
    _check_strategy(arguments.strategy, source)
    if arguments.json:
        name = source.terms.session if source.terms is not None else ""
        lines = [_line_document(line) for line in found]
        write_json({"journal": str(source.path), "session": name, "left_out": left_out, "lines": lines})
        return 0
    if left_out:
        say(
            f"{count_text(left_out)} older lines are left out; --limit 0 shows all, --kind, --strategy, --since and --until choose"
        )
    if found:
        console = make_console()
        if not sys.stdout.isatty():
            console.width = _UNBROKEN  # for grep and the like: what is recorded at once stays on one line
        several = len(source.owners) > 1 and not arguments.strategy
        console.print(lines_table(found, console.width, several))
    else:
        say("nothing of that was recorded")
    return 0


def _wanted(arguments: argparse.Namespace, kinds: Any) -> Wanted:
    from stratd.cli.journal_lines import Wanted

    return Wanted(frozenset(kinds), arguments.strategy, arguments.since, arguments.until)


def _check_strategy(name: str, source: JournalLines) -> None:
    """Raises UsageError where the journal, having been read, knows no such strategy."""
    if name and name not in source.owners:
        near = nearest(name, source.owners)
        raise UsageError(
            f"--strategy {name}: nothing of a strategy of this name was recorded"
            + (f"; did you mean {near!r}?" if near else "")
            + f" (there are: {', '.join(sorted(source.owners)) or 'none'})"
        )


def _line_document(line: Line) -> dict[str, Any]:
    from stratd.cli.journal_lines import with_times
    from stratd.core.clock import utc_text

    return {
        "sequence": line.sequence,
        "time": utc_text(line.time) if line.time > 0 else None,
        "strategy": line.strategy,
        "what": line.kind,
        **with_times(line.values),
    }


def lines_table(lines: list[Line], width: int, several: bool) -> Any:
    """Lines as a table. Where they can be of one strategy only, and not of `several`, its column is left out."""
    from rich.text import Text

    from stratd.cli.journal_words import cells_of

    headings = ["=time (UTC)", *(["strategy"] if several else []), "=what", "=symbol", "=side", ">quantity", ">price", "details"]
    table = make_table(*headings, gap=2 if width >= 120 else 1)
    for line in lines:
        what, symbol, side, quantity, price, details = cells_of(line)
        when = time_text(line.time) if line.time > 0 else ""
        style = "red" if line.kind in ("refused", "risk") else ""
        cells = [when, *([line.strategy] if several else []), what, symbol, side, quantity, price, details]
        table.add_row(*(Text(cell, style=style) for cell in cells))
    return table


def verify_one(arguments: argparse.Namespace) -> int:
    """Say whether a journal is whole, and whether its money adds up."""
    from stratd.cli.journal_money import check_money
    from stratd.journal.verify import verify

    path = find_journal(arguments.place, arguments.results_dir)
    report = verify(path)
    # The same entries: while a run is writing there may be more by now, and behind a damaged one nothing can be trusted.
    money, differences = check_money(path, report.entries) if report.entries else ([], [])
    wrong = [*report.problems, *differences]
    if arguments.json:
        write_json(_verify_document(path, report, money, differences))
    else:
        _print_verified(path, report, money, wrong)
    return 1 if wrong else 0


def _verify_document(path: Path, report: VerifyReport, money: list[StrategyMoney], differences: list[str]) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "journal": str(path),
        "ok": report.ok and not differences,
        **asdict(report),
        "strategies": {one.name: one.document() for one in money},
        "differences": differences,
    }


def _print_verified(path: Path, report: VerifyReport, money: list[StrategyMoney], wrong: list[str]) -> None:
    from rich.text import Text

    console = make_console()
    rows = [
        ("journal", str(path)),
        ("session", report.session or "-"),
        ("entries", f"{count_text(report.entries)} in {count_text(report.groups)} groups"),
    ]
    if money:
        headings = ("strategy", ">orders", ">fills", ">trades", ">compared", ">cash", ">realised", ">fees", ">open")
        table = make_table(*headings, gap=2 if console.width >= 110 else 1)
        for one in money:
            figures = [count_text(number) for number in (one.orders, one.fills, one.trades, one.checkpoints)]
            sums = [f"{units / 1e8:,.2f}" for units in (one.cash, one.realised, one.fees)]
            table.add_row(Text(one.name), *figures, *sums, count_text(len(one.held)))
        console.print(table)
        console.print()
    console.print(make_grid(rows))
    console.print()
    for one in money:
        if one.behind:
            console.print(
                Text(f"note: {one.name} has {one.behind} records behind its last checkpoint, of a step that was not finished"),
                style="yellow",
            )
    for text in wrong:
        console.print(Text(f"wrong: {text}"), style="red")
    if not wrong:
        console.print(Text("ok: no entry is missing or changed, and all money adds up"), style="green")


def export_lines(arguments: argparse.Namespace) -> int:
    """Write lines of one kind to a file."""
    from stratd.cli.journal_export import write_lines
    from stratd.cli.journal_lines import JournalLines

    source = JournalLines(find_journal(arguments.place, arguments.results_dir))
    if not arguments.out.absolute().parent.is_dir():
        raise UsageError(f"--out {arguments.out}: there is no directory {arguments.out.parent}")
    if arguments.out.exists() and arguments.out.samefile(source.path):
        raise UsageError(f"--out: {arguments.out} is the journal that is read")
    number = write_lines(
        source, _wanted(arguments, [arguments.kind]), arguments.out, lambda: _check_strategy(arguments.strategy, source)
    )
    print(f"{arguments.out}: {count_text(number)} {arguments.kind}")
    return 0
