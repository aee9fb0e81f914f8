"""stratd list: strategies with their parameters, sessions, and indicators."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stratd.cli.indicators import catalogue, print_catalogue, print_requests, session_requests
from stratd.cli.output import make_console, make_grid, make_table, write_json
from stratd.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.fields import FieldInfo
    from rich.console import Console, RenderableType
    from rich.table import Table

STRATEGIES_DIR: Final = "strategies"
SESSIONS_DIR: Final = "session_configs"
_BOUNDS: Final = (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"), ("multiple_of", "multiple of"))


def add_verbs(verbs: Any) -> None:
    """Add `list`."""
    listing = verbs.add_parser(
        "list",
        help="list strategies with their parameters, sessions, and indicators",
        description=f"List the strategies under {STRATEGIES_DIR}/ and the sessions under {SESSIONS_DIR}/; or all indicators, or "
        "those that the strategies of a session ask for.",
    )
    listing.add_argument(
        "what", nargs="?", choices=("strategies", "sessions", "indicators"), help="strategies and sessions if left out"
    )
    listing.add_argument(
        "session", metavar="SESSION", nargs="?", type=Path, help="with `indicators`: the session whose requests are to be listed"
    )
    listing.add_argument("--dir", type=Path, default=Path(), metavar="DIR", help="the directory that holds both (default: here)")
    listing.add_argument("--json", action="store_true", help="print one JSON document")
    listing.set_defaults(handler=list_all, parser=listing)


def list_all(arguments: argparse.Namespace) -> int:
    """List what was asked for.

    Raises:
        UsageError: a session is given, and it is not indicators that are asked for.
        ConfigError: that session is wrong.
    """
    if arguments.what == "indicators":
        return _list_indicators(arguments)
    if arguments.session is not None:
        raise UsageError(f"stratd list {arguments.what} takes no session; `stratd list indicators SESSION` does")
    document: dict[str, list[dict[str, Any]]] = {}
    if arguments.what != "sessions":
        document["strategies"] = _strategies(arguments.dir)
    if arguments.what != "strategies":
        document["sessions"] = _sessions(arguments.dir)
    if arguments.json:
        write_json(document)
        return 0
    console = make_console()
    if "strategies" in document:
        _print_strategies(document["strategies"], arguments.dir / STRATEGIES_DIR, console)
    if "sessions" in document:
        _print_sessions(document["sessions"], arguments.dir / SESSIONS_DIR, console)
    return 0


def _list_indicators(arguments: argparse.Namespace) -> int:
    if arguments.session is not None:
        asked = session_requests(arguments.session)
        write_json(asked) if arguments.json else print_requests(asked, make_console())
    else:
        entries = catalogue()
        write_json({"indicators": entries}) if arguments.json else print_catalogue(entries, make_console())
    return 0


def _strategies(base: Path) -> list[dict[str, Any]]:
    from stratd.strategy.plugin import discover_strategies

    return [
        {
            "module": found.module,
            "file": str(found.file),
            "class": found.class_name or None,
            "summary": found.summary,
            "error": found.error,
            "parameters": [] if found.params_model is None else describe_params(found.params_model),
        }
        for found in discover_strategies(base)
    ]


def describe_params(model: type[BaseModel]) -> list[dict[str, Any]]:
    """A strategy's parameters: name, type, default, bounds, search space, description. Values as plain JSON."""
    return [_describe(name, field) for name, field in model.model_fields.items()]


def _describe(name: str, field: FieldInfo) -> dict[str, Any]:
    from pydantic_core import to_jsonable_python

    bounds = [f"{sign} {getattr(rule, key):g}" for rule in field.metadata for key, sign in _BOUNDS if hasattr(rule, key)]
    extra = field.json_schema_extra
    search = extra.get("search") if isinstance(extra, dict) else None
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return {
        "name": name,
        "type": type_text(field.annotation),
        "required": field.is_required(),
        "default": to_jsonable_python(default, fallback=str),
        "bounds": " and ".join(bounds) or None,
        "search": to_jsonable_python(search, fallback=str),
        "description": field.description,
    }


def type_text(annotation: Any) -> str:
    """A type as an author writes it: `int`, `tuple[str, ...]`, `'fast' | 'slow'`."""
    from typing import Literal, get_args, get_origin

    if annotation is Ellipsis:
        return "..."
    if annotation is type(None):
        return "None"
    if get_origin(annotation) is Literal:
        return " | ".join(repr(value) for value in get_args(annotation))
    if get_args(annotation):
        parts = [type_text(argument) for argument in get_args(annotation)]
        outer = getattr(get_origin(annotation), "__name__", "")
        return " | ".join(parts) if outer in ("Union", "UnionType") else f"{outer}[{', '.join(parts)}]"
    return getattr(annotation, "__name__", str(annotation))


def _sessions(base: Path) -> list[dict[str, Any]]:
    from stratd.system.config import load_session
    from stratd.system.config_file import SUFFIXES

    directory = base / SESSIONS_DIR
    files = sorted(path for path in directory.iterdir() if path.suffix in SUFFIXES) if directory.is_dir() else []
    found: list[dict[str, Any]] = []
    for path in files:
        entry: dict[str, Any] = {"file": str(path), "session": None, "symbols": [], "strategies": [], "problems": []}
        try:
            config = load_session(path)
        except ConfigError as error:
            entry["problems"] = [str(problem) for problem in error.problems]
        else:
            entry["session"] = config.session_name
            entry["symbols"] = list(config.symbols)
            entry["strategies"] = [strategy.name for _, strategy in config.enabled_strategies]
        found.append(entry)
    return found


def _print_strategies(strategies: list[dict[str, Any]], directory: Path, console: Console) -> None:
    from rich.text import Text

    if not strategies:
        console.print(f"no strategies under {directory}; `stratd new strategy my_idea` writes one", markup=False)
    for strategy in strategies:
        heading = Text(strategy["module"], style="bold")
        if strategy["class"] is not None:
            heading.append(f"  {strategy['class']}", style="not bold cyan")
        console.print(heading)
        if strategy["summary"]:
            console.print(_indented(Text(strategy["summary"])))
        if strategy["error"] is not None:
            console.print(_indented(Text(f"cannot be loaded: {strategy['error']}", style="red")))
        elif strategy["parameters"]:
            console.print(_indented(_params_table(strategy["parameters"])))
        console.print()


def _indented(part: RenderableType) -> RenderableType:
    from rich.padding import Padding

    return Padding(part, (0, 0, 0, 2))


def _params_table(parameters: list[dict[str, Any]]) -> Table:
    from rich.text import Text

    table = make_table("parameter", "type", "default", "bounds", "search", "what it is")
    for parameter in parameters:
        default = "required" if parameter["required"] else _plain(parameter["default"])
        search = "" if parameter["search"] is None else _plain(parameter["search"])
        cells = (parameter["name"], parameter["type"], default, parameter["bounds"] or "", search, parameter["description"] or "")
        table.add_row(*(Text(cell) for cell in cells))
    return table


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(item) for item in value)
    if isinstance(value, dict) and value:
        return "{...}"  # --json shows it in full
    return "" if value is None else str(value)


def _print_sessions(sessions: list[dict[str, Any]], directory: Path, console: Console) -> None:
    from rich.text import Text

    if not sessions:
        console.print(f"no sessions under {directory}", markup=False)
    for session in sessions:
        console.print(Text(session["file"], style="bold"))
        if session["problems"]:
            number = len(session["problems"])
            text = f"{number} problem{'s' if number > 1 else ''}: stratd check {session['file']}"
            console.print(_indented(Text(text, style="red")))
        else:
            symbols = session["symbols"]
            shown = ", ".join(symbols[:8]) + (f" and {len(symbols) - 8} more" if len(symbols) > 8 else "")
            rows = [("name", session["session"]), ("symbols", shown), ("strategies", ", ".join(session["strategies"]))]
            console.print(_indented(make_grid(rows)))
        console.print()
