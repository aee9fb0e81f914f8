from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratd.errors import ConfigError
from stratd.system.config_errors import Findings
from stratd.system.config_file import nearest_file, read_config


def read(directory: Path, name: str, text: str | bytes) -> tuple[dict[str, Any], list[str]]:
    path = directory / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    findings = Findings(name)
    data = read_config(path, findings)
    return data, [str(problem) for problem in findings.in_order(data)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("s.json", '{"a": 1,\n "b": ]}', "s.json: not valid JSON at line 2, column 7: expecting value"),
        ("s.json", '{"a": NaN}', "s.json: not valid JSON: NaN is not a JSON value"),
        ("s.json", "  ", "s.json: the file is empty; stratd schema describes what goes in"),
        ("s.json", "[1]", "s.json: the file must hold an object with keys such as session_name (got a list)"),
        ("s.json", b"\xff\xfe{", "s.json: not UTF-8 text (byte 0)"),
        ("s.json", "[" * 200_000, "s.json: nested too deeply"),
        ("s.yaml", "a: 1\nb: [1, 2\n", "s.yaml: not valid YAML at line 3, column 1: expected ',' or ']', but got '<stream end>'"),
        ("s.yml", "a: !!python/object:os.system x\n", "s.yml: not valid YAML at line 1, column 4: could not determine a"),
        ("s.yaml", "# nothing\n", "s.yaml: the file is empty"),
        ("s.toml", "a = 1\nb = \n", "s.toml: not valid TOML at line 2, column 5: invalid value"),
        ("s.toml", "a = 1\na = 2\n", "s.toml: not valid TOML at line 2, column 6: cannot overwrite a value"),
        ("s.toml", "a = [1, 2", "s.toml: not valid TOML at line 1, column 10: unclosed array"),
        ("s.ini", "a=1", 's.ini: a session is a JSON, YAML or TOML file (got ".ini"); allowed: .json, .yaml, .yml, .toml'),
    ],
)  # fmt: skip
def test_read_config_of_broken_text_says_where(tmp_path: Path, name: str, text: str | bytes, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, name, text)
    assert str(caught.value).startswith(expected)


def test_read_config_of_a_directory_says_so(tmp_path: Path) -> None:
    (tmp_path / "s.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_config(tmp_path / "s.json", Findings("s.json"))


def test_read_config_with_repeated_keys_names_each(tmp_path: Path) -> None:
    text = '{"a": {"b": 1, "c": [{"d": 1, "d": 2}], "b": 3}}'
    data, problems = read(tmp_path, "s.json", text)
    assert data == {"a": {"b": 3, "c": [{"d": 2}]}}
    assert problems == [
        "s.json: a.b: the key stands more than once in its object; keep one",
        "s.json: a.c[0].d: the key stands more than once in its object; keep one",
    ]
    yaml = "a:\n  b: 1\n  c:\n    - d: 1\n      d: 2\n  b: 3\n"
    assert read(tmp_path, "s.yaml", yaml) == (data, [
        "s.yaml: a.b: line 6: the key stands more than once in its object; keep one",
        "s.yaml: a.c[0].d: line 5: the key stands more than once in its object; keep one",
    ])  # fmt: skip


def test_read_config_of_yaml_reads_scalars_as_yaml_1_2_does(tmp_path: Path) -> None:
    text = "symbols: [ON, NO, y, off]\nn: 010\ntime: 10:30\ndate: 2013-10-07\nz: ~\nt: true\nx: 1e3\nf: .5\nm: -3\nempty:\n"
    data, problems = read(tmp_path, "s.yaml", text)
    assert problems == []
    assert data == {
        "symbols": ["ON", "NO", "y", "off"], "n": 10, "time": "10:30", "date": "2013-10-07", "z": None,
        "t": True, "x": 1000.0, "f": 0.5, "m": -3, "empty": None,
    }  # fmt: skip


def test_read_config_of_yaml_merges_and_follows_aliases(tmp_path: Path) -> None:
    data, problems = read(tmp_path, "s.yaml", "base: &b {x: 1, y: 2}\nown:\n  <<: *b\n  y: 3\nsame: *b\n")
    assert problems == []
    assert data["own"] == {"x": 1, "y": 3}
    assert data["same"] == data["base"]


def test_read_config_of_yaml_with_a_key_that_is_no_text_is_a_problem(tmp_path: Path) -> None:
    data, problems = read(tmp_path, "s.yaml", "a: 1\n5: x\n")
    assert data == {"a": 1}
    assert problems == ["s.yaml: line 2: the key 5 is not text; write it in quotes"]


def test_read_config_with_a_byte_order_mark_reads_on(tmp_path: Path) -> None:
    assert read(tmp_path, "s.json", b'\xef\xbb\xbf{"a": 1}') == ({"a": 1}, [])


SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)


@given(st.dictionaries(st.text(), VALUES, min_size=1, max_size=4))
def test_read_config_of_json_gives_back_any_value(tmp_path_factory: pytest.TempPathFactory, document: dict[str, Any]) -> None:
    directory = tmp_path_factory.getbasetemp()
    assert read(directory, "any.json", json.dumps(document)) == (document, [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("data/SPX.csv.gz", "data/SPY.csv.gz"),
        ("data/SPY.csv", "data/SPY.csv.gz"),
        ("dat/spy.csv.gz", "data/SPY.csv.gz"),
        ("data/ON.csv.gz", None),
        ("elsewhere/SPY.csv.gz", None),
    ],
)
def test_nearest_file_finds_what_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, expected: str | None
) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "SPY.csv.gz").touch()
    monkeypatch.chdir(tmp_path)
    assert nearest_file(Path(name)) == expected
    absolute = nearest_file(tmp_path / name)
    assert absolute == (None if expected is None else str(tmp_path / expected))
