"""Reading a configuration file: JSON, YAML or TOML to plain values, with everything that is wrong in its syntax."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from stratd.core.names import nearest
from stratd.errors import ConfigError, Problem
from stratd.system.config_errors import Findings, KeyPath, show_value

if TYPE_CHECKING:
    import yaml

SUFFIXES: Final = (".json", ".yaml", ".yml", ".toml")


class SyntaxProblem(Exception):
    """The text is not of its format. Caught in `read_config`."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        self.message = message
        self.line = line
        self.column = column
        super().__init__(message)


def read_config(path: Path, findings: Findings) -> dict[str, Any]:
    """The file's contents as plain values.

    Keys that stand twice in an object, and keys that are not text, are added to `findings`; reading goes on.

    Raises:
        ConfigError: the file is missing, unreadable, of an unknown format, broken in its syntax, or not an object.
    """
    suffix = path.suffix.lower()
    text = _read_text(path, findings.file)
    if suffix not in SUFFIXES:
        raise _refusal(findings.file, "a session is a JSON, YAML or TOML file", show_value(path.suffix), SUFFIXES)
    parse: Callable[[str, Findings], Any] = {".json": _parse_json, ".toml": _parse_toml}.get(suffix, _parse_yaml)
    try:
        data = parse(text, findings)
    except SyntaxProblem as error:
        where = f" at line {error.line}, column {error.column}" if error.line is not None else ""
        name = "YAML" if suffix in (".yaml", ".yml") else suffix[1:].upper()
        raise _refusal(findings.file, f"not valid {name}{where}: {error.message}") from None
    except RecursionError:
        raise _refusal(findings.file, "nested too deeply") from None
    if data is None or text.strip() == "":
        raise _refusal(findings.file, "the file is empty; stratd schema describes what goes in")
    if not isinstance(data, dict):
        raise _refusal(findings.file, "the file must hold an object with keys such as session_name", show_value(data))
    return data


def _refusal(file: str, message: str, value: str | None = None, allowed: tuple[str, ...] = ()) -> ConfigError:
    return ConfigError([Problem(file, "", message, value, allowed)])


def _read_text(path: Path, file: str) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError([Problem(file, "", "no such file", suggestion=nearest_file(path))]) from None
    except UnicodeDecodeError as error:
        raise _refusal(file, f"not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise _refusal(file, f"cannot be read: {error.strerror or error}") from None


def nearest_file(path: Path) -> str | None:
    """The existing path that `path` was most likely meant to be; each part of it may be misspelt."""
    found = Path(path.anchor)
    for part in path.parts[1 if path.anchor else 0 :]:
        if not (found / part).exists():
            try:
                neighbours = sorted(entry.name for entry in found.iterdir())
            except OSError:
                return None
            near = _nearest_name(part, neighbours)
            if near is None:
                return None
            part = near
        found /= part
    return str(found)


def _nearest_name(name: str, neighbours: list[str]) -> str | None:
    """By what stands before the ending first: SPY.csv is near SPY.csv.gz, ON.csv.gz is not near SPY.csv.gz."""
    stems = {neighbour: neighbour.split(".")[0] or neighbour for neighbour in neighbours}
    stem = nearest(name.split(".")[0] or name, stems.values())
    same = [neighbour for neighbour in neighbours if stems[neighbour] == stem]
    return nearest(name, same) or (same[0] if same else None)


# JSON ---------------------------------------------------------------------------------------------------------------


class _Object(dict[str, Any]):
    """An object that remembers which of its keys stood twice."""

    repeated: tuple[str, ...] = ()


def _parse_json(text: str, findings: Findings) -> Any:
    def build(pairs: list[tuple[str, Any]]) -> _Object:
        made = _Object(pairs)
        if len(made) < len(pairs):
            keys = [key for key, _ in pairs]
            made.repeated = tuple(key for key in made if keys.count(key) > 1)
        return made

    def refuse(constant: str) -> Any:
        raise SyntaxProblem(f"{constant} is not a JSON value")

    if not text.strip():
        return None
    try:
        data = json.loads(text, object_pairs_hook=build, parse_constant=refuse)
    except json.JSONDecodeError as error:
        message = error.msg[:1].lower() + error.msg[1:]
        raise SyntaxProblem(message, error.lineno, error.colno) from None
    return _plain(data, (), findings)


def _plain(data: Any, path: KeyPath, findings: Findings) -> Any:
    if isinstance(data, _Object):
        for key in data.repeated:
            findings.add((*path, key), "the key stands more than once in its object; keep one")
        return {key: _plain(value, (*path, key), findings) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value, (*path, index), findings) for index, value in enumerate(data)]
    return data


# TOML ---------------------------------------------------------------------------------------------------------------


def _parse_toml(text: str, findings: Findings) -> Any:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message, line, column = str(error), None, None
        place = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", message, re.DOTALL)
        if place:
            lines = text.split("\n")
            line = int(place[2] or len(lines))
            column = int(place[3] or len(lines[-1]) + 1)
            message = place[1]
        raise SyntaxProblem(message[:1].lower() + message[1:], line, column) from None


# YAML ---------------------------------------------------------------------------------------------------------------


def _parse_yaml(text: str, findings: Findings) -> Any:
    import yaml

    loader = _yaml_loader()(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _check_yaml(node, (), findings, set())
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = error.problem or error.context or "cannot be read"
        line, column = (mark.line + 1, mark.column + 1) if mark is not None else (None, None)
        raise SyntaxProblem(message, line, column) from None
    except yaml.YAMLError as error:
        raise SyntaxProblem(str(error).splitlines()[0]) from None
    finally:
        loader.dispose()


def _yaml_loader() -> type[yaml.SafeLoader]:
    """SafeLoader with the scalars of YAML 1.2.

    YAML 1.1, PyYAML's dialect, reads the symbols ON and NO as booleans, 010 as eight and 10:30 as 630.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers: dict[str, Any] = {}

    def whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
        return int(str(loader.construct_scalar(node)), 10)

    rules = {
        "null": (r"~|null|Null|NULL|", "~nN\0"),
        "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
        "int": (r"[-+]?[0-9]+", "-+0123456789"),
        "float": (r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", "-+0123456789."),
        "merge": (r"<<", "<"),
    }
    for name, (pattern, first) in rules.items():
        starts = ["" if character == "\0" else character for character in first]
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{name}", re.compile(rf"^(?:{pattern})$"), starts)
    Loader.add_constructor("tag:yaml.org,2002:int", whole)
    return Loader


def _check_yaml(node: yaml.Node, path: KeyPath, findings: Findings, seen: set[int]) -> None:
    import yaml

    if id(node) in seen:  # An alias, perhaps of something that it is itself in.
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _check_yaml(item, (*path, index), findings, seen)
    elif isinstance(node, yaml.MappingNode):
        kept = []
        keys: set[str] = set()
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value
            if key_node.tag == "tag:yaml.org,2002:merge":
                kept.append((key_node, value_node))
                continue
            if key_node.tag != "tag:yaml.org,2002:str" or not isinstance(key, str):
                name = f"the key {key}" if isinstance(key, str) else "a key"
                findings.add(path, f"line {line}: {name} is not text; write it in quotes")
                continue
            if key in keys:
                findings.add((*path, key), f"line {line}: the key stands more than once in its object; keep one")
            keys.add(key)
            kept.append((key_node, value_node))
            _check_yaml(value_node, (*path, key), findings, seen)
        node.value = kept
