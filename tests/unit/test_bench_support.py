"""The lines and the table of the benches."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.paths import repo_root

README = "# Benches\n\nbefore\n<!-- table: written by bench/run.py -->\nold\n<!-- end of table -->\nafter\n"


@pytest.fixture
def support(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    monkeypatch.syspath_prepend(str(repo_root() / "bench"))
    yield importlib.import_module("support")
    for name in (
        "run",
        "support",
        "workloads",
        "orders",
        "w1",
        "w2",
        "peer",
    ):  # scripts have plain names, which are nobody else's business
        sys.modules.pop(name, None)


@pytest.fixture
def run(support: ModuleType) -> ModuleType:
    return importlib.import_module("run")


@pytest.fixture
def workloads(support: ModuleType) -> ModuleType:
    return importlib.import_module("workloads")


@pytest.mark.parametrize(
    ("test", "value", "baseline", "holds"),
    [
        ("value >=", 4.0, None, True),
        ("value >=", 3.9, None, False),
        ("value <=", 4.0, 1.0, True),
        ("value <=", 4.1, 100.0, False),
        ("value ==", 4.0, None, True),
        ("value ==", 4.5, None, False),
        ("ratio <=", 8.0, 2.0, True),
        ("ratio <=", 8.1, 2.0, False),
        ("ratio >=", 8.1, 2.0, True),
        ("ratio >=", 100.0, None, None),
        ("value >=", None, 1.0, None),
    ],
)
def test_claim_holds_by_its_test(
    support: ModuleType, test: str, value: float | None, baseline: float | None, holds: bool | None
) -> None:
    claim = support.Claim(claim="x", value=value, unit="s", target=4.0, test=test, baseline=baseline)

    assert claim.holds is holds


def test_report_prints_one_json_line_per_claim(support: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    support.report(
        [
            support.Claim(claim="a", value=3_912_345.6, unit="bars/s", target=4e6, test="value >=", baseline=2.0, runs=3),
            support.Claim(claim="b", value=None, unit="s", target=1.0, note="absent"),
        ]
    )

    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert list(first) == [
        "claim", "value", "unit", "target", "test", "baseline", "ratio", "holds", "wall_seconds", "cpu_seconds", "runs",
    ]  # fmt: skip
    assert (first["value"], first["ratio"], first["holds"], first["runs"]) == (3_912_000, 1_956_000, False, 3)
    assert (second["value"], second["ratio"], second["holds"], second["note"]) == (None, None, None, "absent")


def test_median_of_runs_is_the_whole_run_in_the_middle(support: ModuleType) -> None:
    runs = [support.Run(seconds, 10 * seconds, 100 * seconds) for seconds in (3.0, 1.0, 2.0)]

    assert support.median(runs) == support.Run(2.0, 20.0, 200.0)


def test_row_says_target_and_whether_it_holds(run: ModuleType, support: ModuleType) -> None:
    claim = support.Claim(
        claim="w1_x", value=5712.0, unit="s", target=2.5, test="ratio <=", baseline=1000.0, wall_seconds=0.1234, note="a|b"
    )

    cells = run.row(claim.to_dict(), "2024-11-21")

    assert cells == ("w1_x", "5,712", "s", "ratio <= 2.5", "1,000", "5.71", "**no**", "0.123", "", "1", "2024-11-21", "a/b")


def test_row_of_a_line_without_the_newer_keys_is_still_a_row(run: ModuleType) -> None:
    line = {"claim": "provider_x", "value": 80.0, "unit": "bytes", "target": 280, "baseline": 100.0, "ratio": 0.8, "holds": True}

    assert run.row(line, "") == ("provider_x", "80", "bytes", "<= 280", "100", "0.8", "yes", "", "", "1", "", "")


def test_table_written_into_the_readme_is_read_back(run: ModuleType) -> None:
    rows = [tuple(f"w1_{i}{j}" for j in range(len(run.HEAD))) for i in range(2)]

    text = run.rewritten(README, run.markdown(rows), "a machine")

    assert run.kept(text) == rows
    assert text.startswith("# Benches\n\nbefore\n")
    assert text.endswith("\n<!-- end of table -->\nafter\n")
    assert "\na machine\n" in text
    assert "\nold\n" not in text


def test_table_without_markers_is_refused(run: ModuleType) -> None:
    with pytest.raises(ValueError, match="has no lines"):
        run.rewritten("# Benches\n", "table", "machine")


def test_table_keeps_rows_of_benches_that_have_not_run_in_order(run: ModuleType) -> None:
    old = [("w1_a", "1"), ("w1_gone", "1"), ("gate_a", "1"), ("peer_x", "1")]

    found = run.renewed(old, [("w1_a", "2"), ("w1_b", "2")], ["w1_"])

    assert found == [("w1_a", "2"), ("w1_b", "2"), ("gate_a", "1"), ("peer_x", "1")]


def test_table_keeps_rows_of_a_bench_whose_claims_begin_like_another_ones(run: ModuleType) -> None:
    old = [("w1_a", "1"), ("w1_orders_a", "1"), ("w1_microseconds_per_order", "1"), ("peer_a", "1"), ("peer_orders_a", "1")]

    found = run.renewed(old, [("w1_a", "2"), ("peer_orders_a", "2")], ["w1_", "peer_orders_"])

    assert found == [
        ("w1_a", "2"),
        ("w1_orders_a", "1"),
        ("w1_microseconds_per_order", "1"),
        ("peer_a", "1"),
        ("peer_orders_a", "2"),
    ]


def test_claim_of_no_bench_is_refused(run: ModuleType) -> None:
    with pytest.raises(ValueError, match="'w3_a' is of no bench"):
        run.renewed([("w3_a", "1")], [], ["w1_"])


def test_every_bench_has_claims_of_its_own(run: ModuleType) -> None:
    prefixes = [prefix for name in run.SCRIPTS for prefix in run.PREFIXES[name]]

    assert run.PREFIXES.keys() == run.SCRIPTS.keys()
    assert len(set(prefixes)) == len(prefixes)


def test_orders_of_w1_in_plain_integers_are_those_that_the_bench_claims(support: ModuleType) -> None:
    orders = importlib.import_module("orders")

    assert {minutes: orders.expected(minutes) for minutes in orders.EXACT} == orders.EXACT
    assert orders.EXACT == {525_600: (5_712, 9_999_481), 100_000: (1_073, 9_999_083)}


def test_table_on_a_terminal_has_notes_below_their_rows(run: ModuleType) -> None:
    rows = [(*("x" * (i + 1) for i in range(len(run.HEAD) - 1)), note) for note in ("", "a note")]

    lines = run.aligned(rows).splitlines()

    assert len(lines) == 4
    assert lines[3] == "    a note"
    assert lines[0].index("unit") == lines[1].index("xxx") == lines[2].index("xxx")


def test_run_refuses_a_bench_that_does_not_exist(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run.main(["w3"])

    assert "there is no bench 'w3'" in capsys.readouterr().err


def test_every_bench_of_the_table_is_a_script(run: ModuleType) -> None:
    assert all((repo_root() / "bench" / script).is_file() for script in run.SCRIPTS.values())


@pytest.mark.shared_data
def test_workloads_are_those_that_peers_were_measured_on(workloads: ModuleType, tmp_path: Path) -> None:
    import importlib.util

    import numpy as np

    path = repo_root().parent / "shared" / "bench" / "workloads.py"
    if not path.is_file():
        pytest.skip("../shared/bench is absent")
    spec = importlib.util.spec_from_file_location("shared_workloads", path)
    assert spec is not None
    assert spec.loader is not None
    theirs = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(theirs)
    theirs.main(tmp_path)
    for name, mine in (("d1", workloads.w1()), ("d2", workloads.w2())):
        with np.load(f"{tmp_path}/{name}.npz") as found:
            assert np.array_equal(found["ts"] * 1_000_000_000, mine.open_time)
            for field in workloads.FIELDS:
                assert np.array_equal(found[field].reshape(mine.columns[field].shape), mine.columns[field])
