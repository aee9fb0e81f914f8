"""stratd: the command line.

Exit codes: 0 done; 1 a runtime failure, or a run that is not deterministic; 2 usage; 78 configuration; 130 ended by Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from stratd import __version__
from stratd.cli import check, data, halt, journal, listing, new, run, warm
from stratd.cli.parser import Parser
from stratd.errors import StratdError

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell reports it

_EPILOG = """\
first steps:
  stratd check session_configs/demo.json      is it right?
  stratd backtest session_configs/demo.json   play it
  stratd list                                 strategies and sessions that there are
  stratd new strategy my_idea                 write one

exit codes: 0 done, 1 runtime failure or a run that is not deterministic, 2 usage, 78 configuration, 130 interrupted, 141 broken pipe
"""


def build_parser() -> Parser:
    """The whole command line. Each verb's parser has `handler` and `parser` among its defaults."""
    from argparse import RawDescriptionHelpFormatter

    parser = Parser(
        prog="stratd",
        description="A live multi-strategy trading daemon: one process, many strategies, each isolated from the others.",
        epilog=_EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"stratd {__version__}")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    for family in (run, check, journal, halt, listing, new, data, warm):
        family.add_verbs(verbs)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: the arguments after the command's name; None takes the process's own.

    Returns:
        The exit code. Errors of stratd are printed as plain messages on stderr; any other exception is a bug
        and goes on to the interpreter, which prints its traceback and ends with 1.
    """
    parser = build_parser()
    try:
        arguments = parser.parse_strictly(sys.argv[1:] if argv is None else argv)
        if arguments.verb is None:
            parser.print_help()
            return 0
        code: int = arguments.handler(arguments)
        sys.stdout.flush()
        return code
    except StratdError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone, as in `stratd list | head`. Python flushes stdout once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except SystemExit as stop:  # --help and --version
        return stop.code if isinstance(stop.code, int) else 0
