"""stratd check, stratd schema."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from stratd.errors import ConfigError, StratdError

EXIT_CONFIG: Final = 78


def add_verbs(verbs: Any) -> None:
    """Add `check` and `schema`."""
    check = verbs.add_parser(
        "check",
        help="say everything that is wrong with session files",
        description="Check session files, load their strategies, check their parameters, and try each one's setup without data.",
    )
    check.add_argument("files", metavar="FILE", nargs="+", type=Path, help="session file (JSON, YAML or TOML)")
    check.set_defaults(handler=check_files, parser=check)
    schema = verbs.add_parser(
        "schema",
        help="print the JSON schema of session files, for editors",
        description="Print the JSON schema of session files. Editors that are given it complete and check as one types.",
    )
    schema.set_defaults(handler=print_schema, parser=schema)


def check_files(arguments: argparse.Namespace) -> int:
    """Check every file, whatever is wrong with those before it."""
    wrong = 0
    for path in arguments.files:
        found = _check_one(path)
        wrong += bool(found)
        sys.stdout.flush()  # so that the lines of both streams come out in order
        for line in found:
            print(line, file=sys.stderr, flush=True)
    return EXIT_CONFIG if wrong else 0


def _check_one(path: Path) -> list[str]:
    """What is wrong with a file. One that is right is said to be, on stdout."""
    from stratd.system.config import load_session

    try:
        config = load_session(path)
        # Only now: this loads numba, and a file with a misspelt key need not wait for it.
        from stratd.system.check import check_session

        problems = check_session(config)
    except ConfigError as error:
        problems = error.problems
    except StratdError as error:
        return [f"{path}: {error}"]
    if not problems:
        strategies = len(config.enabled_strategies)
        symbols = len(config.symbols)
        print(f"{path}: ok ({_plural(strategies, 'strategy', 'strategies')}, {_plural(symbols, 'symbol', 'symbols')})")
    return [str(problem) for problem in problems]


def _plural(number: int, one: str, many: str) -> str:
    return f"{number} {one if number == 1 else many}"


def print_schema(arguments: argparse.Namespace) -> int:
    """Print the schema."""
    from stratd.cli.output import write_json
    from stratd.system.schema import session_schema

    write_json(session_schema())
    return 0
