"""The JSON schema of session files, for editors."""

from __future__ import annotations

from typing import Any, Final

from stratd.system.config import SessionConfig

DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def session_schema() -> dict[str, Any]:
    """JSON schema (draft 2020-12) of a session file.

    A strategy's `config` is left open: what may stand there is for the strategy's own parameters to say.
    """
    schema = _without_titles(SessionConfig.model_json_schema(mode="validation"))
    # What load_session fills in is not required of the writer, and editors want to be told of the schema in the file.
    schema["required"] = [key for key in schema["required"] if key != "session_name"]
    schema["properties"]["$schema"] = {"type": "string", "description": "where an editor finds this schema; not read"}
    return {"$schema": DIALECT, "title": "stratd session", **schema}


def _without_titles(schema: Any) -> Any:
    """Without the titles that pydantic makes up from field names: they say nothing that the names do not."""
    if isinstance(schema, list):
        return [_without_titles(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    bare: dict[str, Any] = {}
    for key, item in schema.items():
        if key in ("properties", "$defs"):  # Below these keys are names, and one of those could be "title".
            bare[key] = {name: _without_titles(value) for name, value in item.items()}
        elif key != "title":
            bare[key] = _without_titles(item)
    return bare
