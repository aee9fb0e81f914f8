"""What README and docs say is so: examples run, names exist, tables equal the code."""

from __future__ import annotations

import inspect
import json
import re
import shlex
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sybil import Sybil
from sybil.document import PythonDocStringDocument
from sybil.parsers.rest import DocTestParser

import stratd.indicators
from stratd import errors
from stratd.cli.main import EXIT_BROKEN_PIPE, build_parser
from stratd.cli.os_signals import EXIT_INTERRUPTED
from stratd.core import paths
from stratd.feeds.columns import TIME_NAMES
from stratd.feeds.readers import ENDINGS
from stratd.indicators.catalogue.listing import CATALOGUE
from stratd.strategy import manager, thread
from stratd.strategy.base import Strategy
from stratd.strategy.plugin import load_strategy, unload
from stratd.system import loading
from stratd.system.check import check_session
from stratd.system.config import load_session
from stratd.system.manager import SystemManager
from stratd.system.result import SessionResult
from tests.docs.documents import DOCUMENTS, Block, all_blocks, blocks, commands, headings, links, name_of, rows, spans
from tests.docs.generated import PARTS, ROOT, part, play_demo, run_output
from tests.docs.pictured import KEYWORD, left_over, pictures, stale, text_chunks

README = ROOT / "README.md"
DOCS = ROOT / "docs"
# What a reader makes by following the documents, and what a run makes.
MADE = {
    "bench/out/",
    "strategies/my_idea.py",
    "tests/strategies/test_my_idea.py",
    "signals.csv",
    "strategies/production/my_strategy.py",
}
KINDS = {("python",), ("python", "strategy"), ("json", "session"), ("console",), ("text",)}
SESSION: dict[str, Any] = {
    "calendar": "XNYS",
    "session_data_config": {"symbols": ["SPY", "QQQ"], "streaming": {"data_upkeep": {"derived_intervals": [5, 15]}}},
    "feed": {"path": "sample_data/us_equity_2019-02"},
}


def where(block: Block) -> str:
    return block.where


# Examples.


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project beside the shipped strategies and data; the current directory (tests/conftest.py)."""
    (tmp_path / "strategies").mkdir()
    (tmp_path / "session_configs").mkdir()
    (tmp_path / "strategies" / "examples").symlink_to(ROOT / "strategies" / "examples")
    (tmp_path / "session_configs" / "sample_data").symlink_to(ROOT / "session_configs" / "sample_data")
    return tmp_path


def play(project: Path, session: str) -> SessionResult:
    """What `stratd check` and then `stratd backtest` do."""
    file = project / "session_configs" / "session.json"
    file.write_text(session, encoding="utf-8")
    config = load_session(file)
    assert check_session(config) == []
    return SystemManager(config).run()


@pytest.mark.parametrize("block", all_blocks("python", "strategy"), ids=where)
def test_strategy_example_in_a_session_signals_without_errors(block: Block, project: Path) -> None:
    name = block.kind[2]
    (project / "strategies" / f"{name}.py").write_text(block.source, encoding="utf-8")
    unload(load_strategy(f"strategies.{name}", root=project, unique_name=name))
    own = [one.source for one in blocks(block.document) if one.kind == ("json", "session", name)]
    session = own[0] if own else json.dumps({**SESSION, "strategies": [{"module": f"strategies.{name}"}]})
    result = play(project, session)
    done = result.strategies[name]
    assert (done.state, done.errors, done.last_error) == ("STOPPED", 0, None)
    assert done.notifications > 100
    assert done.signals > 0


@pytest.mark.parametrize("block", [one for one in all_blocks("json", "session") if len(one.kind) == 2], ids=where)
def test_session_example_is_played_without_errors(block: Block, project: Path) -> None:
    result = play(project, block.source)
    assert result.error is None
    assert result.bars_in > 0
    assert {done.state for done in result.strategies.values()} == {"STOPPED"}
    assert all(done.notifications and not done.errors for done in result.strategies.values())


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_python_examples_of_a_document_run(document: Path) -> None:
    namespace: dict[str, Any] = {"__name__": f"docs_{document.stem}"}
    for block in blocks(document):
        if block.kind == ("python",):
            # Blank lines above, so that a traceback names the document's own lines.
            exec(compile("\n" * block.line + block.source, str(document), "exec"), namespace)
    if "typical" in namespace:
        namespace["typical"](_series())


def _series() -> Any:
    """A series with bars, as a strategy sees it at the end of a session."""
    config = load_session(ROOT / "session_configs" / "test_simple_strategy.json")
    ran = SystemManager(config)
    ran.run()
    assert ran.session is not None
    return ran.session.strategies.threads[0].strategy.ctx.bars("AAPL", "5m")


def test_docstring_examples_run() -> None:
    sybil = Sybil([DocTestParser()], document_types={".py": PythonDocStringDocument})
    files = [path for path in sorted((ROOT / "daemon").rglob("*.py")) if ">>>" in path.read_text(encoding="utf-8")]
    assert files
    for path in files:
        for example in sybil.parse(path):
            example.evaluate()


def test_documents_have_examples_of_every_kind() -> None:
    assert {block.kind[:2] for document in DOCUMENTS for block in blocks(document)} == KINDS


def test_readme_strategy_has_twenty_lines() -> None:
    (block,) = (one for one in blocks(README) if one.kind[:2] == ("python", "strategy"))
    assert len([line for line in block.source.splitlines() if line.strip()]) <= 20


# Commands.


def test_readme_set_up_is_two_commands() -> None:
    (first, *_) = (one for one in blocks(README) if one.kind == ("console",))
    assert first.source.split("\n")[:2] == ["$ make run", "$ make test"]
    assert first.source.strip().count("\n") == 1


def test_every_console_line_is_a_command_that_is_there() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    lines = [line for block in all_blocks("console") for line in block.source.splitlines()]
    assert all(line.startswith(("$ stratd ", "$ make ", "$ source .venv/")) for line in lines), lines
    shown = {span.split()[1] for document in DOCUMENTS for span in spans(document) if span.startswith("make ")}
    shown |= {line.split()[2] for line in lines if line.startswith("$ make ")}
    assert shown <= targets


@pytest.mark.parametrize(("place", "command"), sorted(set(commands())), ids=lambda text: text)
def test_stratd_command_is_understood(place: str, command: str) -> None:
    arguments = shlex.split(command)[1:]
    if "--help" in arguments:
        with pytest.raises(SystemExit):
            build_parser().parse_strictly(arguments)
    else:
        assert build_parser().parse_strictly(arguments).verb is not None
    made = {f"session_configs/{block.kind[2]}.json" for block in all_blocks("json", "session") if len(block.kind) == 3}
    for argument in arguments:
        if argument.startswith("session_configs/"):
            assert argument in made or (ROOT / argument).is_file()


# Names.


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_lead_somewhere(document: Path) -> None:
    for link in links(document):
        target, _, anchor = link.partition("#")
        path = (document.parent / target).resolve() if target else document
        assert path.exists(), f"{link}: there is no {path}"
        assert path.is_relative_to(ROOT), link
        if anchor:
            assert anchor in headings(path), f"{link}: {path.name} has the headings {sorted(headings(path))}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_paths_that_are_named_exist(document: Path) -> None:
    made = MADE | {f"strategies/{block.kind[2]}.py" for block in all_blocks("python", "strategy")}
    made |= {f"session_configs/{block.kind[2]}.json" for block in all_blocks("json", "session") if len(block.kind) == 3}
    for span in spans(document):
        is_path = re.fullmatch(r"[A-Za-z_.][\w.-]*(/[\w.-]+)+/?|[A-Za-z]\w*/|\w+\.(py|toml|txt|md)", span)
        if is_path and span not in made:
            homes = (ROOT, ROOT / "daemon" / "stratd", document.parent)
            assert any((home / span).exists() for home in homes), span


def test_every_document_is_reached_from_readme() -> None:
    reached: set[Path] = set()
    waiting = [README]
    while waiting:
        document = waiting.pop()
        if document not in reached:
            reached.add(document)
            targets = ((document.parent / link.partition("#")[0]).resolve() for link in links(document))
            waiting += [target for target in targets if target in DOCUMENTS]
    assert {path for path in DOCUMENTS if path.is_relative_to(DOCS)} <= reached


# Tables.


@pytest.mark.parametrize("name", PARTS)
def test_generated_part_is_that_of_the_code(name: str) -> None:
    file, make = PARTS[name]
    assert part((ROOT / file).read_text(encoding="utf-8"), name) == make(), "run: python -m tests.docs.generated"


def test_readme_shows_what_make_run_prints(tmp_path: Path) -> None:
    def steady(text: str) -> list[list[str]]:
        """Without spans of time, shares of it and speed."""
        masked = re.sub(r"[\d.:]+(ns|µs|ms|s|min)\b|\d+%|[\d,]+ bars/s", "#", text)
        return [line.split() for line in masked.splitlines()]

    shown = part(README.read_text(encoding="utf-8"), "run")
    assert steady(shown) == steady(run_output(play_demo(tmp_path))), "run: python -m tests.docs.generated"


def test_exit_codes_are_those_of_the_code() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.StratdError)]
    codes = {0, EXIT_INTERRUPTED, EXIT_BROKEN_PIPE, *(kind.exit_code for kind in kinds)}
    assert set(rows(DOCS / "configuration.md", "code")) == {str(code) for code in codes}


def test_environment_variables_are_those_of_the_code() -> None:
    used = re.findall(r'"([A-Z]+_[A-Z_]+)"', inspect.getsource(paths))
    assert list(rows(DOCS / "configuration.md", "variable")) == [f"`{name}`" for name in used]


def test_file_endings_and_time_columns_are_those_of_the_code() -> None:
    endings = ", ".join(rows(DOCS / "data.md", "ending"))
    assert endings == ", ".join(f"`{ending}`" for ending in ENDINGS)
    assert re.findall(r"`(\w+)`", next(iter(rows(DOCS / "data.md", "column")))) == list(TIME_NAMES)


def test_callbacks_are_those_of_strategy() -> None:
    table = rows(DOCS / "writing_a_strategy.md", "callback")
    listed = [name for cell in table for name in re.findall(r"`(\w+)", cell)]
    assert sorted(listed) == sorted(name for name, value in vars(Strategy).items() if inspect.isfunction(value))
    idle = next(re.findall(r"`(\w+)", cell) for cell, (text, *_) in table.items() if text.startswith("not called"))
    callers = "".join(inspect.getsource(module) for module in (thread, manager, loading))
    called = {name for name in listed if re.search(rf"\.{name}\b", callers)}
    assert called == set(listed) - set(idle)


def test_indicators_of_the_package_are_all_in_the_catalogue() -> None:
    tools = {"FIELDS", "HandleGroup", "Indicator", "IndicatorHandle", "On"}
    listed = [entry.spec.name for entry in CATALOGUE]
    assert len(set(listed)) == len(listed)
    assert set(listed) == set(stratd.indicators.__all__) - tools
    assert {f"{name.lower()}" for name in listed} <= headings(DOCS / "indicators.md")


def test_docstrings_of_the_catalogue_are_indented_evenly() -> None:
    """Else all that is indented further looks like a formula."""
    formulas = [block.source for block in blocks(DOCS / "indicators.md") if block.kind == ("text",)]
    assert not [text for text in formulas if "`" in text or "Attributes:" in text]


def test_every_indicator_has_a_picture_of_what_is_so() -> None:
    """Without matplotlib: each picture carries a hash of the bars and values that it shows."""
    assert [picture.file.name for picture in stale()] == [], "run: python -m tests.docs.pictures"
    assert left_over() == [], "run: python -m tests.docs.pictures"
    assert sum(picture.file.stat().st_size for picture in pictures()) < 1_000_000


def test_hash_of_a_picture_changes_with_what_it_shows() -> None:
    first = pictures()[0]
    (name,) = first.values
    values = first.values[name].copy()
    values[-1] *= 1.000001
    assert replace(first, values={name: values}).digest != first.digest
    closes = first.bars["close"] + 0.01
    assert replace(first, bars={**first.bars, "close": closes}).digest != first.digest
    assert text_chunks(first.file.read_bytes())[KEYWORD] == replace(first).digest == first.digest


def test_dependencies_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = rows(DOCS / "adr" / "0003-dependencies.md", "package")
    assert sorted(listed) == sorted(project["dependencies"] + project["optional-dependencies"]["dev"])
    text = " ".join(README.read_text(encoding="utf-8").split())
    assert f"python3 of version {project['requires-python'].removeprefix('>=')} or newer" in text
