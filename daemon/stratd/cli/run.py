"""stratd run, stratd backtest."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stratd.cli.os_signals import EXIT_INTERRUPTED, StopRequests, handled_by
from stratd.cli.output import ProgressDisplay, make_console, say, write_json
from stratd.cli.parser import whole_number
from stratd.telemetry.logs import LEVELS

if TYPE_CHECKING:
    from stratd.system.config import SessionConfig
    from stratd.system.result import Progress
    from stratd.system.session_journal import SessionJournal

SIGNAL_SUFFIXES = (".csv", ".parquet")


def add_verbs(verbs: Any) -> None:
    """Add `run` and `backtest`."""
    summaries = {
        "run": "run a session as its file says",
        "backtest": "play a session's recorded bars as fast as its strategies are, the same way every time",
    }
    for verb, summary in summaries.items():
        parser = verbs.add_parser(verb, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        parser.set_defaults(handler=run_session, parser=parser)
        _add_options(parser)
        if verb == "run":
            parser.add_argument(
                "--preview", action="store_true", help="say what the run would go on with after a crash, and end; changes nothing"
            )


def _add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("session", metavar="SESSION", type=Path, help="session file (JSON, YAML or TOML)")
    parser.add_argument("--window", type=whole_number(1), metavar="N", help="steps that the slowest strategy may be behind")
    parser.add_argument("--block", type=whole_number(1), metavar="N", help="minutes taken from the feed at a time")
    parser.add_argument("--signals", type=_signals_file, metavar="FILE", help="write every signal to FILE (.csv or .parquet)")
    parser.add_argument("--metrics-port", type=whole_number(0, 65_535), metavar="N", help="serve Prometheus metrics on this port")
    parser.add_argument("--results-dir", metavar="DIR", help="directory for what the session leaves behind")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON document")
    parser.add_argument("--quiet", action="store_true", help="no progress and no summary; the exit code says how it went")
    parser.add_argument("--log-level", choices=LEVELS, default="warning", help="log lines from this level on, to stderr")


def _signals_file(text: str) -> str:
    if Path(text).suffix.lower() not in SIGNAL_SUFFIXES:
        raise argparse.ArgumentTypeError(f"{text!r} must end in {' or '.join(SIGNAL_SUFFIXES)}")
    return text


def run_session(arguments: argparse.Namespace) -> int:
    """Run a session to its end, or until somebody stops it."""
    from stratd.core.limits import raise_file_limit
    from stratd.system.config import load_session
    from stratd.system.result import RunOptions
    from stratd.telemetry.logs import configure_logs

    overrides: dict[str, Any] = {}
    if arguments.verb == "backtest":
        overrides["speed_multiplier"] = 0
    config = load_session(arguments.session, overrides)
    configure_logs(arguments.log_level)
    if arguments.verb == "run" and arguments.preview:
        return _preview(config, arguments)

    from stratd.system.manager import SystemManager

    options = RunOptions(
        window=arguments.window,
        block_minutes=arguments.block,
        signals_path=arguments.signals,
        metrics_port=arguments.metrics_port,
        results_dir=arguments.results_dir,
        durable=arguments.verb == "run",
    )
    raise_file_limit()
    with ProgressDisplay(quiet=arguments.quiet) as display:
        said = arguments.quiet

        def show(progress: Progress) -> None:
            nonlocal said
            if not said and manager.session is not None:
                said = True
                _say_plan(manager.session.journal)
            display.show(progress)

        manager = SystemManager(config, options, show)
        with handled_by(StopRequests(manager.stop, manager.abort, say)) as requests:
            result = manager.run()
    if arguments.json:
        write_json(result.to_dict())
    elif not arguments.quiet:
        from stratd.cli.summary import print_summary

        print_summary(result, make_console())
    if result.error is not None and (arguments.json or arguments.quiet):
        say(f"error: {result.error}")
    return EXIT_INTERRUPTED if requests.aborted else result.exit_code


def _say_plan(journal: SessionJournal | None) -> None:
    """Say what a run goes on with, where it does."""
    if journal is not None and journal.plan:
        say(f"going on with {journal.journal.path}:")
        for line in journal.plan:
            say(f"  {line}")


def _preview(config: SessionConfig, arguments: argparse.Namespace) -> int:
    """Say what a run would go on with."""
    from stratd.cli.preview import preview

    plan = preview(config, arguments.results_dir)
    if arguments.json:
        write_json({"session": config.session_name, "plan": plan})
    else:
        print("\n".join(plan))
    return 0
