from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from stratd.cli.main import main
from stratd.strategy.plugin import load_strategy

Capture = pytest.CaptureFixture[str]


def test_new_strategy_writes_a_strategy_that_loads(tmp_path: Path, capsys: Capture) -> None:
    assert main(["new", "strategy", "mean_swing", "--dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"wrote {tmp_path}/strategies/mean_swing.py\nwrote {tmp_path}/tests/strategies/test_mean_swing.py\n" in out
    kind = load_strategy("strategies.mean_swing", root=tmp_path, unique_name="mean_swing")
    assert kind.__name__ == "MeanSwing"
    assert kind.Params().model_dump()["period"] == 20


def test_new_strategy_writes_clean_code(tmp_path: Path) -> None:
    ruff = shutil.which("ruff", path=str(Path(sys.executable).parent)) or shutil.which("ruff")
    if ruff is None:
        pytest.skip("ruff is not installed")
    assert main(["new", "strategy", "mean_swing", "--dir", str(tmp_path)]) == 0
    repository = Path(__file__).parents[3]
    files = list(tmp_path.rglob("*.py"))
    assert len(files) == 2
    for file in files:
        for verb in (["check"], ["format", "--check"]):
            # As if it lay in the repository, whose rules say what a first-party import is.
            place = repository / file.relative_to(tmp_path)
            command = [ruff, *verb, "--no-cache", "--stdin-filename", str(place), "-"]
            done = subprocess.run(command, input=file.read_text(), capture_output=True, text=True, cwd=repository)
            assert done.returncode == 0, done.stdout


def test_new_strategy_never_overwrites(tmp_path: Path, capsys: Capture) -> None:
    test = tmp_path / "tests" / "strategies" / "test_mine.py"
    test.parent.mkdir(parents=True)
    test.write_text("# mine")
    assert main(["new", "strategy", "mine", "--dir", str(tmp_path)]) == 2
    assert "is there already" in capsys.readouterr().err
    assert test.read_text() == "# mine"
    assert not (tmp_path / "strategies").exists()


@pytest.mark.parametrize(
    ("name", "suggestion"), [("My-Idea", "my_idea"), ("FastMA2", "fast_ma2"), ("2fast", "fast"), ("class", None), ("../x", "x")]
)
def test_new_strategy_with_a_name_that_is_none_suggests_one(
    tmp_path: Path, name: str, suggestion: str | None, capsys: Capture
) -> None:
    assert main(["new", "strategy", name, "--dir", str(tmp_path)]) == 2
    err = capsys.readouterr().err
    assert "cannot name a module" in err
    assert (f"did you mean {suggestion!r}" in err) == (suggestion is not None)
    assert list(tmp_path.iterdir()) == []
