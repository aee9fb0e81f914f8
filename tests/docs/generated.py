"""The parts of README and docs that are made from the code.

They stand between `<!-- name -->` and `<!-- /name -->`. `python -m tests.docs.generated` writes them anew; the tests
compare them.
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from stratd.cli.listing import describe_params
from stratd.cli.summary import summary_parts
from stratd.data.intake import _REASONS
from stratd.strategy.params import StrategyParams
from stratd.system.config import load_session
from stratd.system.manager import SystemManager
from stratd.system.result import SessionResult
from stratd.system.schema import session_schema
from stratd.telemetry.metrics import ALL
from tests.docs.indicator_pages import catalogue_part
from tests.support.paths import repo_root

ROOT: Final = repo_root()
_WIDTH: Final = 100
_NUMBER_TYPES: Final = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}


def table(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    lines = [tuple(headings), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    lines.insert(1, ("---",) * len(lines[0]))
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def config_tables() -> str:
    """Every key of a session, from the JSON schema that `stratd schema` prints."""
    schema = session_schema()
    return "\n\n".join(_objects(schema, schema, ""))


def _objects(schema: Mapping[str, Any], found: Mapping[str, Any], path: str) -> Iterable[str]:
    rows = []
    inner = []
    for key, entry in found["properties"].items():
        default = "required" if key in found.get("required", ()) else _default(entry)
        rows.append((f"`{key}`", _type(entry), default, entry.get("description", "")))
        inner += [(f"{path}{key}{suffix}", below) for suffix, below in _below(schema, entry)]
    caption = f"### `{path.removesuffix('.')}`" if path else "### The session"
    yield f"{caption}\n\n{found['description']}\n\n{table(('key', 'type', 'default', 'meaning'), rows)}"
    for name, below in inner:
        yield from _objects(schema, below, f"{name}.")


def _below(schema: Mapping[str, Any], entry: Mapping[str, Any]) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """The objects that an entry holds: itself, or the items of its list."""
    if "$ref" in entry:
        yield "", schema["$defs"][entry["$ref"].rpartition("/")[2]]
    for choice in entry.get("anyOf", ()):
        yield from _below(schema, choice)
    if "items" in entry:
        yield from ((f"[]{suffix}", below) for suffix, below in _below(schema, entry["items"]))


def _type(entry: Mapping[str, Any]) -> str:
    if "anyOf" in entry:
        return " or ".join(dict.fromkeys(_type(choice) for choice in entry["anyOf"]))
    if "const" in entry:
        return f"`{json.dumps(entry['const'])}`"
    if "enum" in entry:
        return " or ".join(f"`{json.dumps(choice)}`" for choice in entry["enum"])
    kind: str = entry.get("type", "object")
    if kind == "array":
        return f"list of {_type(entry['items'])}"
    return _NUMBER_TYPES.get(kind, kind) + _bounds(entry)


def _bounds(entry: Mapping[str, Any]) -> str:
    least, most, above = (entry.get(key) for key in ("minimum", "maximum", "exclusiveMinimum"))
    if above is not None:
        return f" above {above:,}"
    if least is not None:
        return f", {least:,} to {most:,}" if most is not None else f", {least:,} or more"
    return ""


def _default(entry: Mapping[str, Any]) -> str:
    default = entry.get("default")
    if "default" not in entry or default == "":
        return ""  # the description says what is taken then
    return "`{...}`" if isinstance(default, dict) and default else f"`{json.dumps(default)}`"


def params_table() -> str:
    """The parameters that every strategy has."""
    rows = [
        (f"`{found['name']}`", f"`{found['type']}`", f"`{json.dumps(found['default'])}`", found["description"])
        for found in describe_params(StrategyParams)
    ]
    return table(("parameter", "type", "default", "meaning"), rows)


def metrics_table() -> str:
    """Every metric."""
    rows = [(f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in ("session", *m.labels)), m.help) for m in ALL]
    return table(("metric", "kind", "labels", "what it says"), rows)


def rejects_table() -> str:
    """Every reason for not using a row."""
    return table(("kind", "why the row is not used"), ((f"`{kind.label}`", reason) for kind, reason in _REASONS.items()))


def measured_table() -> str:
    """The last table of bench/README.md without its less important columns; nothing where nothing has been measured."""
    text = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")
    lines = part(text, "table: written by bench/run.py", "end of table").strip().splitlines()
    cells = [tuple(cell.strip() for cell in line.strip("| ").split("|")) for line in lines if line.startswith("|")]
    if not cells:
        return ""
    columns = [cells[0].index(name) for name in ("claim", "value", "unit", "target", "baseline", "ratio", "holds")]
    chosen = [tuple(row[column] for column in columns) for row in cells]
    machine = [line for line in lines if line and not line.startswith("|")]
    return "\n".join([*machine, "", table(chosen[0], chosen[2:])])


def play_demo(results: Path) -> SessionResult:
    """What `make run` plays."""
    from stratd.system.result import RunOptions

    result = SystemManager(load_session(ROOT / "session_configs" / "demo.json"), RunOptions(results_dir=str(results))).run()
    return replace(result, journal_file="results/demo/journal.sqlite3")


def run_output(result: SessionResult) -> str:
    """What `make run` prints the first time, as README shows it."""
    from rich.console import Console

    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    said = [line.replace("$(VENV)", ".venv") for line in re.findall(r'^\t@echo "(stratd: .*)"$', makefile, re.M)]
    screen = io.StringIO()
    console = Console(file=screen, width=_WIDTH, color_system=None, highlight=False, emoji=False)
    for part in summary_parts(result, _WIDTH):
        console.print(part)
    lines = [*said[:3], *(line.rstrip() for line in screen.getvalue().splitlines())]
    return "```text\n" + "\n".join(lines) + "\n```"


PARTS: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "session-keys": ("docs/configuration.md", config_tables),
    "params": ("docs/writing_a_strategy.md", params_table),
    "metrics": ("docs/metrics.md", metrics_table),
    "rejects": ("docs/data.md", rejects_table),
    "measured": ("README.md", measured_table),
    "catalogue": ("docs/indicators.md", catalogue_part),
}


def part(text: str, name: str, end: str = "") -> str:
    """What stands between the marks of a part."""
    found = re.search(rf"<!-- {name} -->\n(.*?)\n?<!-- {end or f'/{name}'} -->", text, re.S)
    assert found is not None, f"there is no part {name}"
    return found[1]


def _write(file: str, name: str, made: str) -> None:
    path = ROOT / file
    text = path.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    head, tail = text.partition(begin)[0], text.partition(end)[2]
    body = f"{made}\n" if made else ""
    path.write_text(f"{head}{begin}{body}{end}{tail}", encoding="utf-8")


def main() -> None:
    """Write all parts anew."""
    from tempfile import TemporaryDirectory

    for name, (file, make) in PARTS.items():
        _write(file, name, make())
    with TemporaryDirectory() as results:
        _write("README.md", "run", run_output(play_demo(Path(results))))


if __name__ == "__main__":
    main()
