"""stratd data: look at files of bars, and make longer bars of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stratd.cli.output import count_text, make_console, make_grid, time_text, write_json
from stratd.errors import UsageError

if TYPE_CHECKING:
    from stratd.feeds.inspect import FileReport

BLOCKS: Final = " ▁▂▃▄▅▆▇█"
OUT_SUFFIXES: Final = (".csv", ".csv.gz", ".parquet", ".arrow")


def add_verbs(verbs: Any) -> None:
    """Add `data` with `inspect` and `resample`."""
    data = verbs.add_parser(
        "data", help="look at files of bars, make longer bars of them", description="Work with files of bars."
    )
    data.set_defaults(handler=_print_help, parser=data)
    actions = data.add_subparsers(title="actions", metavar="ACTION", dest="action")

    inspect = actions.add_parser(
        "inspect",
        help="rows, span, gaps, duplicates, quality",
        description="Say what is in a file of 1-minute bars, and what is missing or wrong in it.",
    )
    inspect.add_argument("file", metavar="FILE", type=Path, help="CSV, CSV.gz, Parquet or Arrow IPC")
    inspect.add_argument("--json", action="store_true", help="print one JSON document")
    inspect.set_defaults(handler=inspect_one, parser=inspect)

    resample = actions.add_parser(
        "resample",
        help="make longer bars",
        description="Make longer bars of a file of 1-minute bars, with the same kernels that sessions use.",
    )
    resample.add_argument("file", metavar="FILE", type=Path, help="CSV, CSV.gz, Parquet or Arrow IPC")
    resample.add_argument("--interval", required=True, metavar="5m", help="how long the bars are to be: 5m, 1h, 1d")
    resample.add_argument("--out", required=True, metavar="FILE", type=_out_file, help="file to write (.csv, .csv.gz, .parquet)")
    resample.add_argument(
        "--calendar", default="24/7", metavar="XNYS", help="align to this exchange's sessions (default: 24/7, UTC)"
    )
    resample.add_argument("--extended-hours", action="store_true", help="use minutes before the open and after the close")
    resample.add_argument("--json", action="store_true", help="print one JSON document")
    resample.set_defaults(handler=resample_one, parser=resample)


def _out_file(text: str) -> Path:
    if not text.lower().endswith(OUT_SUFFIXES):
        raise argparse.ArgumentTypeError(f"{text!r} must end in {', '.join(OUT_SUFFIXES)}")
    return Path(text)


def _print_help(arguments: argparse.Namespace) -> int:
    arguments.parser.print_help()
    return 0


def inspect_one(arguments: argparse.Namespace) -> int:
    """Print the report on a file."""
    from dataclasses import asdict

    from stratd.feeds.inspect import inspect_file

    report = inspect_file(_existing(arguments.file))
    if arguments.json:
        write_json({"file": str(arguments.file), **asdict(report)})
    else:
        make_console().print(make_grid(_report_rows(arguments.file, report)))
    return 0


def _existing(path: Path) -> Path:
    """Raises UsageError with the nearest file where there is no such file."""
    if path.is_file():
        return path
    from stratd.system.config_file import nearest_file

    near = nearest_file(path)
    raise UsageError(f"{path}: no such file" + (f"; did you mean {near!r}?" if near else ""))


def _report_rows(path: Path, report: FileReport) -> list[tuple[str, str]]:
    wrong = {
        "duplicates": report.duplicates,
        "out of order": report.out_of_order,
        "time cannot be read": report.malformed,
        "not on a whole minute": report.misaligned,
        "not a number": report.nan,
        "OHLC contradicts itself": report.bad_ohlc,
        "price not above zero": report.non_positive,
        "negative volume": report.negative_volume,
    }
    found = ", ".join(f"{kind}: {count_text(number)}" for kind, number in wrong.items() if number)
    rows = [("file", str(path)), ("rows", count_text(report.rows))]
    if report.symbols:
        rows.append(("symbols", ", ".join(report.symbols)))
    if report.first_open_time is not None and report.last_open_time is not None:
        rows.append(("span", f"{time_text(report.first_open_time)} to {time_text(report.last_open_time)} (open times)"))
        rows += _gap_rows(report)
    rows += [("no volume", count_text(report.zero_volume)), ("wrong rows", found or "none")]
    if report.coverage:
        rows.append(("coverage", f"|{coverage_picture(report.coverage)}|"))
        rows.append(("", f"a mark is 1/{len(report.coverage)} of the span; the higher, the more of its minutes are there"))
    return rows


def _gap_rows(report: FileReport) -> list[tuple[str, str]]:
    if report.newest_first:
        return [("gaps", "not counted: the file is sorted newest first")]
    missing = f"{_plural(report.missing_minutes, 'minute')}"
    if report.missing_minutes:
        missing += f" in {_plural(report.missing_runs, 'gap')}, the longest {_plural(report.longest_missing_run, 'minute')}"
    breaks = "none"
    if report.breaks:
        breaks = f"{count_text(report.breaks)} (nights, week-ends), the longest {_plural(report.longest_gap_minutes, 'minute')}"
        if report.longest_gap_open_time is not None:
            breaks += f" from {time_text(report.longest_gap_open_time)}"
    present = report.rows - report.duplicates - report.out_of_order - report.malformed - report.misaligned
    expected = present + report.missing_minutes
    quality = f"{present / expected:.4g}" if expected else "-"
    return [("missing", missing), ("breaks", breaks), ("quality", f"{quality} (minutes present / expected, breaks left out)")]


def _plural(number: int, what: str) -> str:
    return f"{count_text(number)} {what}{'' if number == 1 else 's'}"


def coverage_picture(coverage: Sequence[float]) -> str:
    """Shares of minutes present, 0 to 1, as marks of that height. A share above zero is never drawn as nothing."""
    top = len(BLOCKS) - 1
    return "".join(BLOCKS[0 if share <= 0 else min(top, max(1, int(share * top)))] for share in coverage)


def resample_one(arguments: argparse.Namespace) -> int:
    """Make longer bars, and say how many."""
    from stratd.model import Interval

    try:
        interval = Interval(arguments.interval)
    except ValueError as error:
        raise UsageError(f"--interval: {error}") from None
    source = _existing(arguments.file)
    if arguments.out.exists() and arguments.out.samefile(source):
        raise UsageError(f"--out: {arguments.out} is the file that is read")

    from stratd.system.resample import resample_file

    report = resample_file(source, interval, arguments.out, arguments.calendar, arguments.extended_hours)
    rejected = {kind: number for kind, number in report.rejected.items() if number}
    if arguments.json:
        document = {"file": str(source), "interval": str(interval), "out": str(arguments.out)}
        write_json({**document, "rows_in": report.rows_in, "rows_out": report.rows_out, "rejected": rejected})
        return 0
    print(f"{arguments.out}: {count_text(report.rows_out)} bars of {interval} from {count_text(report.rows_in)} rows")
    if rejected:
        print("rejected " + ", ".join(f"{kind}: {count_text(number)}" for kind, number in rejected.items()))
    return 0
