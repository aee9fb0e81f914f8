"""What is wrong in a configuration, in words: from a key path and a rule to a `Problem` that teaches."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stratd.core.names import nearest
from stratd.errors import ConfigError, Problem

KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a file down to a value."""

M = TypeVar("M", bound=BaseModel)

NO_VALUE: Final = object()
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_SHOWN_CHARACTERS = 60

# What pydantic found, by its error type, in the words of this project. `{...}` is filled from the error's context.
_SENTENCES: Final = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "date_from_datetime_parsing": "must be a date such as 2013-10-07",
    "dict_type": "must be an object",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "list_type": "must be a list",
    "missing": "is missing",
    "model_type": "must be an object",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_pattern_mismatch": "must match the pattern {pattern}",
    "string_too_long": "must have at most {max_length} characters",
    "string_too_short": "must have at least {min_length} characters",
    "string_type": "must be text",
    "too_long": "must have at most {max_length} entries",
    "too_short": "must have at least {min_length} entries",
    "tuple_type": "must be a list",
}
_CHOICE_TYPES: Final = frozenset({"literal_error", "enum"})


def format_path(path: KeyPath) -> str:
    """`("strategies", 0, "config", "BRK.B")` as `strategies[0].config["BRK.B"]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif _PLAIN_KEY.fullmatch(part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def show_value(value: Any) -> str:
    """A value as a person would write it in the file, cut to a line's length."""
    if isinstance(value, Mapping):
        return "an object" if value else "an empty object"
    if isinstance(value, (list, tuple)):
        return "a list" if value else "an empty list"
    if isinstance(value, (str, bool, int, float)) or value is None:
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = str(value)
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 3] + "..."


class Findings:
    """Collects what is wrong in one file, and raises it all at once in the order of the file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self._found: list[tuple[KeyPath, Problem]] = []

    def add(
        self,
        path: KeyPath,
        message: str,
        value: Any = NO_VALUE,
        *,
        allowed: Iterable[str] = (),
        suggestion: str | None = None,
        prefix: str = "",
    ) -> None:
        """Note a problem at `path`; `prefix` is the key under which the checked data hangs in the file."""
        inner = format_path(path)
        glue = "." if prefix and inner and not inner.startswith("[") else ""
        shown = None if value is NO_VALUE else show_value(value)
        problem = Problem(self.file, prefix + glue + inner, message, shown, tuple(allowed), suggestion)
        if not any(problem == other for _, other in self._found):
            self._found.append((path, problem))

    def has_at(self, path: KeyPath) -> bool:
        """Whether something was found at `path` or below it."""
        return any(found[: len(path)] == path for found, _ in self._found)

    def in_order(self, data: Any) -> list[Problem]:
        """All problems, in the order in which their keys stand in `data`."""
        return [problem for _, problem in sorted(self._found, key=lambda item: _position(item[0], data))]

    def raise_if_any(self, data: Any = None) -> None:
        """Raises ConfigError with everything found so far."""
        if self._found:
            raise ConfigError(self.in_order(data))


def _position(path: KeyPath, data: Any) -> tuple[int, ...]:
    """Where a key stands in its file; a missing key stands after those that are there."""
    position = []
    for part in path:
        if isinstance(part, int):
            position.append(part)
            data = data[part] if isinstance(data, list) and 0 <= part < len(data) else None
        else:
            keys = list(data) if isinstance(data, Mapping) else []
            position.append(keys.index(part) if part in keys else len(keys))
            data = data.get(part) if isinstance(data, Mapping) else None
    return tuple(position)


def add_validation_error(
    findings: Findings, error: ValidationError, model: type[BaseModel], data: Any, prefix: str = ""
) -> list[tuple[KeyPath, str]]:
    """Turn what pydantic found into problems.

    Args:
        model: the model that was validated; its fields are the choices for "did you mean".
        data: what was validated, as it came from the file.
        prefix: the key under which `data` hangs in the file.

    Returns:
        Where a key is misspelt, and the key of the same object that was most likely meant.
    """
    missing: list[KeyPath] = []
    misspelt: list[tuple[KeyPath, str]] = []
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        path = _file_path(details, data)
        if details["type"] == "extra_forbidden":
            meant = _add_unknown_key(findings, path, model, data, prefix)
            if meant is not None:
                misspelt.append((path, meant))
        elif details["type"] == "missing":
            missing.append(path)
        else:
            by_path.setdefault(path, []).append(details)
    for path in missing:
        # A misspelt key is one mistake, not two: the unknown key already says what it was meant to be.
        if path not in [(*wrong[:-1], meant) for wrong, meant in misspelt]:
            findings.add(path, _SENTENCES["missing"], prefix=prefix)
    for path, several in by_path.items():
        # pydantic leaves wrong entries out when it counts, so a list of one wrong entry would be too short as well.
        if several[0]["type"] == "too_short" and any(other[: len(path)] == path and other != path for other in by_path):
            continue
        _add_wrong_value(findings, path, several, prefix)
    return misspelt


def _add_wrong_value(findings: Findings, path: KeyPath, several: Sequence[ErrorDetails], prefix: str) -> None:
    """One problem for one value, however many members of a union refused it."""
    messages: list[str] = []
    allowed: list[str] = []
    suggestion: str | None = None
    value = several[0]["input"]
    for details in several:
        message, choices, hint = _explain(details)
        if message not in messages:
            messages.append(message)
        allowed += [choice for choice in choices if choice not in allowed]
        suggestion = suggestion or hint
    if suggestion is None and allowed and isinstance(value, str):
        suggestion = nearest(value, allowed)
    by_rule = all(details["type"] in {"value_error", "assertion_error"} for details in several)
    shown = NO_VALUE if by_rule and isinstance(value, (Mapping, list, tuple, BaseModel)) else value
    findings.add(path, ", or ".join(messages), shown, allowed=allowed, suggestion=suggestion, prefix=prefix)


def _explain(details: ErrorDetails) -> tuple[str, list[str], str | None]:
    """Message, allowed values and suggestion of one pydantic error."""
    kind = details["type"]
    context: dict[str, Any] = details.get("ctx") or {}
    if kind in _CHOICE_TYPES:
        choices = re.findall(r"'([^']*)'", str(context.get("expected", "")))
        return ("is not one of the choices", choices, None) if len(choices) > 1 else (f"must be {context['expected']}", [], None)
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"]), [], None
    if kind in ("too_short", "string_too_short") and context["min_length"] == 1:
        return "must not be empty", [], None
    if kind in _SENTENCES:
        words = {name: f"{number:.15g}" if isinstance(number, float) else number for name, number in context.items()}
        return _SENTENCES[kind].format(**words), [], None
    # A PydanticCustomError of ours, or a type that has no sentence here.
    message = details["msg"]
    return message[:1].lower() + message[1:], list(context.get("allowed", ())), context.get("suggestion")


def _add_unknown_key(findings: Findings, path: KeyPath, model: type[BaseModel], data: Any, prefix: str) -> str | None:
    """Returns the key that was meant, where it is one of the same object."""
    key = str(path[-1])
    owner = _model_at(model, path[:-1])
    siblings = _keys_of(owner) if owner is not None else []
    container = _value_at(data, path[:-1])
    taken = set(container) if isinstance(container, Mapping) else set()
    # A key that is there already is hardly what another one was meant to be.
    meant = nearest(key, [name for name in siblings if name not in taken])
    elsewhere = [place for place in _all_places(model) if place[-1] == key] if meant is None else []
    suggestion = meant
    message = "unknown key"
    if elsewhere:
        suggestion = format_path(elsewhere[0])
        message = "unknown key here"
    findings.add(path, message, suggestion=suggestion, allowed=() if suggestion else siblings, prefix=prefix)
    return meant


def _file_path(details: ErrorDetails, data: Any) -> KeyPath:
    """Where an error lies in the file: pydantic's location without the names of union members and functions."""
    path: list[str | int] = []
    for part in details["loc"]:
        inside_mapping = isinstance(data, Mapping) and part in data
        inside_list = isinstance(data, (list, tuple)) and isinstance(part, int) and part < len(data)
        if inside_mapping or inside_list:
            path.append(part)
            data = data[part]
    if details["type"] == "missing":
        path.append(details["loc"][-1])
    return tuple(path)


def _value_at(data: Any, path: KeyPath) -> Any:
    for part in path:
        data = data[part]
    return data


def _keys_of(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Every model in an annotation: `tuple[SymbolConfig, ...] | None` gives SymbolConfig."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [found for argument in get_args(annotation) for found in _models_in(argument)]


def _model_at(model: type[BaseModel], path: KeyPath) -> type[BaseModel] | None:
    """The model whose fields are the keys at `path`."""
    for part in path:
        if isinstance(part, int):
            continue
        field = next((field for name, field in model.model_fields.items() if part in (name, field.alias)), None)
        found = _models_in(field.annotation) if field is not None else []
        if not found:
            return None
        model = found[0]
    return model


def _all_places(model: type[BaseModel], above: KeyPath = ()) -> list[KeyPath]:
    """Every key of a model and of the models in it, the shallow ones first. Lists of models are left out."""
    places: list[KeyPath] = [(*above, name) for name in _keys_of(model)]
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            places += _all_places(annotation, (*above, name))
    return sorted(places, key=len)


def validate_params(params_model: type[M], config: Mapping[str, Any], file: str, key: str) -> M:
    """A strategy's parameters, checked against its own model.

    Args:
        params_model: the strategy's `Params`.
        config: the `config` object of the strategy, as it stands in the session file.
        file: the session file as the user named it.
        key: where `config` stands in it: `strategies[0].config`.

    Raises:
        ConfigError: all problems at once, with keys below `key`.
    """
    try:
        return params_model.model_validate(dict(config))
    except ValidationError as error:
        findings = Findings(file)
        add_validation_error(findings, error, params_model, config, prefix=key)
        raise ConfigError(findings.in_order(config)) from None
