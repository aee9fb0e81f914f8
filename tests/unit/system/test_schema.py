from __future__ import annotations

import json
from typing import Any

from stratd.system.schema import session_schema


def follow(schema: dict[str, Any], *keys: str) -> Any:
    found: Any = schema
    for key in keys:
        found = found["properties"][key]
        if "$ref" in found:
            found = schema["$defs"][found["$ref"].rpartition("/")[2]]
    return found


def test_session_schema_is_plain_json_that_refuses_unknown_keys() -> None:
    schema = session_schema()
    assert json.loads(json.dumps(schema)) == schema
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) == {"session_data_config", "feed", "strategies"}
    assert "$schema" in schema["properties"]


def test_session_schema_describes_every_key() -> None:
    schema = session_schema()
    for part in (schema, *schema["$defs"].values()):
        for name, field in part["properties"].items():
            assert field.get("description"), name
            assert "title" not in field


def test_session_schema_allows_both_ways_to_write_a_symbol_and_an_interval() -> None:
    schema = session_schema()
    symbols = follow(schema, "session_data_config", "symbols")["items"]["anyOf"]
    assert {"type": "string"} in symbols
    assert {"$ref": "#/$defs/SymbolConfig"} in symbols
    intervals = follow(schema, "session_data_config", "streaming", "data_upkeep", "derived_intervals")["items"]["anyOf"]
    assert [item["type"] for item in intervals] == ["integer", "string"]


def test_session_schema_leaves_strategies_config_open() -> None:
    assert session_schema()["$defs"]["StrategyConfig"]["properties"]["config"]["additionalProperties"] is True
