from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from stratd.errors import StrategyLoadError
from stratd.model import Interval
from stratd.strategy.base import Strategy
from stratd.strategy.plugin import discover_strategies, load_strategy, unload
from stratd.strategy.plugin_import import PrivateImports, remove_load

PLAIN = """
from stratd import Strategy
class Plain(Strategy):
    '''Does nothing, well.'''
    def on_bars(self, symbol, interval):
        pass
"""
WITH_HELPER = """
from stratd import Strategy
import helper
class Mine(Strategy):
    VALUE = helper.VALUE
    def on_bars(self, symbol, interval):
        import helper
        return helper.VALUE
"""


class Root:
    """A directory of strategies."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, name: str, text: str) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text))
        return file

    def load(self, module: str, class_name: str | None = None, unique_name: str = "s") -> Any:
        return load_strategy(module, class_name, root=self.path, unique_name=unique_name)

    def fails(self, module: str, class_name: str | None = None) -> StrategyLoadError:
        with pytest.raises(StrategyLoadError) as caught:
            self.load(module, class_name)
        assert not [name for name in sys.modules if name.startswith("stratd_plugins")], "a failed load leaves nothing"
        return caught.value


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    # Sessions of other tests may have left loads behind.
    for finder in [finder for finder in sys.meta_path if isinstance(finder, PrivateImports)]:
        remove_load(finder.prefix)
    path, meta_path, modules = list(sys.path), list(sys.meta_path), set(sys.modules)
    yield Root(tmp_path)
    assert sys.path == path
    for finder in [finder for finder in sys.meta_path if finder not in meta_path]:
        unload(type("Left", (), {"__module__": f"{finder.prefix}.x"}))  # type: ignore[attr-defined]
    assert sys.meta_path == meta_path
    assert not [name for name in set(sys.modules) - modules if name.startswith("stratd_plugins") or name == "helper"]


# --- finding -------------------------------------------------------------------------------------------------------


def test_load_by_dotted_path_gives_the_class(root: Root) -> None:
    root.write("strategies/mine/plain.py", PLAIN)
    loaded = root.load("strategies.mine.plain", unique_name="my plain-1")
    assert issubclass(loaded, Strategy)
    assert loaded.__name__ == "Plain"
    assert loaded.__module__ == "stratd_plugins.my_plain_1.strategies.mine.plain"
    assert sys.modules[loaded.__module__].Plain is loaded


@pytest.mark.parametrize("name", ["strategies/plain.py", "./strategies/plain.py"])
def test_load_by_file_path_relative_to_root_gives_the_class(root: Root, name: str) -> None:
    root.write("strategies/plain.py", PLAIN)
    assert root.load(name).__name__ == "Plain"


def test_load_by_absolute_path_outside_root_gives_the_class(root: Root, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = Root(tmp_path_factory.mktemp("else-where.d"))
    other.write("helper.py", "VALUE = 3")
    file = other.write("my-strategy.py", WITH_HELPER)
    assert root.load(str(file)).VALUE == 3


def test_load_of_a_package_by_name_and_by_path_finds_its_class_and_modules(root: Root) -> None:
    root.write("strategies/pack/__init__.py", "from .core import Mine\nimport helper, beside\nBOTH = helper.VALUE + beside.VALUE")
    root.write("strategies/pack/core.py", "from .helper import VALUE\nfrom . import helper\n" + WITH_HELPER)
    root.write("strategies/pack/helper.py", "VALUE = 4")
    root.write("strategies/beside.py", "VALUE = 5")
    for name in ("strategies.pack", "strategies/pack", str(root.path / "strategies" / "pack")):
        loaded = root.load(name)
        assert loaded.VALUE == 4
        assert sys.modules[loaded.__module__.rpartition(".")[0]].BOTH == 9


def test_load_of_an_installed_module_is_fresh_and_private(root: Root, tmp_path_factory: pytest.TempPathFactory) -> None:
    site = Root(tmp_path_factory.mktemp("site"))
    site.write("some_firm/__init__.py", "")
    site.write("some_firm/shared.py", "VALUE = 6")
    site.write(
        "some_firm/alpha/one.py",
        "from ..shared import VALUE\nimport some_firm.shared\n" + PLAIN + "    VALUE = some_firm.shared.VALUE",
    )
    sys.path.append(str(site.path))
    try:
        loaded = root.load("some_firm.alpha.one")
    finally:
        sys.path.remove(str(site.path))
    assert loaded.VALUE == 6
    assert "some_firm" not in sys.modules


def test_load_of_a_module_of_stratd_uses_the_one_strategy_class(root: Root) -> None:
    error = root.fails("stratd.strategy.params")
    assert "defines no subclass of Strategy" in error.reason


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("strategies.plian", "did you mean 'strategies.plain'?"),
        ("plain", "did you mean 'strategies.plain'?"),
        ("strategies/plian.py", "did you mean 'plain.py'?"),
        ("strategies/", "directory without __init__.py"),
        ("nowhere.at.all", "no installed module of that name"),
        ("json.no_such", "no installed module of that name"),
        ("math", "is not a Python source file"),
        ("__main__", "strategies"),
        ("my-strategies.x", "neither a dotted path"),
        ("strategies/notes.txt", "a strategy's file is called <name>.py"),
        ("strategies/v1.2.py", "no other dot"),
    ],
)
def test_load_of_what_is_not_there_says_what_is(root: Root, module: str, says: str) -> None:
    root.write("strategies/plain.py", PLAIN)
    root.write("strategies/v1.2.py", PLAIN)
    root.write("strategies/notes.txt", "")
    if module == "__main__":
        with pytest.raises(StrategyLoadError):
            root.load(module)
    else:
        assert says in str(root.fails(module))


# --- privacy -------------------------------------------------------------------------------------------------------


def test_load_of_two_strategies_with_different_helpers_keeps_them_apart(root: Root) -> None:
    for k in (1, 2):
        root.write(f"strategies/s{k}/mine.py", WITH_HELPER)
        root.write(f"strategies/s{k}/helper.py", f"VALUE = {k}")
    one, two = root.load("strategies.s1.mine"), root.load("strategies.s2.mine")
    assert (one.VALUE, two.VALUE) == (1, 2)
    # The import inside on_bars runs long after the load.
    assert (one().on_bars("A", None), two().on_bars("A", None)) == (1, 2)
    assert "helper" not in sys.modules


def test_load_twice_gives_separate_modules(root: Root) -> None:
    root.write("strategies/mine.py", WITH_HELPER)
    root.write("strategies/helper.py", "VALUE = []")
    one, two = root.load("strategies.mine"), root.load("strategies.mine")
    assert one is not two
    assert one.__module__ != two.__module__
    one.VALUE.append(1)
    assert two.VALUE == []


def test_load_of_a_helper_by_either_import_gives_one_module(root: Root) -> None:
    root.write("strategies/helper.py", "VALUE = []")
    root.write(
        "strategies/mine.py",
        "import helper\nimport strategies.helper\nimport strategies.helper as third\nfrom strategies import helper as fourth\n"
        "from . import helper as fifth\nSAME = helper is strategies.helper is third is fourth is fifth\n"
        + PLAIN
        + "    SAME = SAME",
    )
    assert root.load("strategies.mine").SAME


def test_load_of_a_helper_package_works_plainly(root: Root) -> None:
    root.write("strategies/lib/__init__.py", "")
    root.write("strategies/lib/maths.py", "VALUE = 8")
    root.write("strategies/bare/maths.py", "VALUE = 9")  # a directory without __init__.py
    root.write(
        "strategies/mine.py",
        "import lib.maths\nfrom lib import maths\nimport lib.maths as m\nfrom bare.maths import VALUE\n"
        + PLAIN
        + "    VALUES = lib.maths.VALUE, maths.VALUE, m.VALUE, VALUE",
    )
    assert root.load("strategies.mine").VALUES == (8, 8, 8, 9)


def test_load_with_a_helper_named_like_the_standard_library_leaves_that_alone(root: Root) -> None:
    root.write("strategies/json.py", "raise RuntimeError('not this one')")
    root.write("strategies/mine.py", "import json\nimport os.path\njson.dumps(os.path.sep)" + PLAIN)
    assert root.load("strategies.mine").__name__ == "Plain"


def test_load_after_an_edit_of_a_helper_within_the_same_second_sees_it(root: Root) -> None:
    root.write("strategies/mine.py", WITH_HELPER)
    helper = root.write("strategies/helper.py", "VALUE = 1")
    stamp = helper.stat()
    assert root.load("strategies.mine").VALUE == 1
    root.write("strategies/helper.py", "VALUE = 2")  # same size, and the same time of change
    os.utime(helper, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert root.load("strategies.mine").VALUE == 2
    assert not list(root.path.rglob("*.pyc"))


def test_load_resolves_annotations_dataclasses_and_params(root: Root) -> None:
    root.write(
        "strategies/mine.py",
        """
        from __future__ import annotations
        from dataclasses import dataclass
        from pydantic import Field
        from stratd import Strategy, StrategyParams
        @dataclass(slots=True)
        class State:
            held: dict[str, State]
        class MineParams(StrategyParams):
            size: int = Field(3, ge=1)
        class Mine(Strategy[MineParams]):
            Params = MineParams
            def on_bars(self, symbol, interval):
                return State({})
        """,
    )
    loaded = root.load("strategies.mine")
    assert loaded.Params(size=4).size == 4


# --- errors --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("x = 1\nif x\n    pass\n", 2, "SyntaxError: expected ':'"),
        ("def f():\nreturn 1\n", 2, "IndentationError"),
        ("x = 1\nimport helpr\n", 2, "'helpr'; it is neither beside the strategy nor installed; did you mean 'helper'?"),
        ("from .helpr import y\n", 1, "No module named 'strategies.helpr'"),
        ("from helper import y\n", 1, "cannot import name 'y' from 'strategies.helper'"),
        ("from ...helper import y\n", 1, "the relative import leads out of /"),
        ("\n\nfloat('x')\n", 3, "ValueError: could not convert"),
        ("def f():\n    raise KeyError('k')\nf()\n", 2, "KeyError: 'k'"),
        ("import sys\nsys.exit(3)\n", 2, "it calls sys.exit(3) when imported"),
        ("raise SystemExit\n", 1, "it calls sys.exit() when imported"),
        ("assert False\n", 1, "AssertionError"),
        ("import json\njson.loads('{')\n", 2, "JSONDecodeError"),
        ("exec('1 +')\n", 1, "SyntaxError"),
    ],
)
def test_load_of_a_module_that_fails_says_file_line_and_reason(root: Root, text: str, line: int, says: str) -> None:
    root.write("strategies/helper.py", "VALUE = 1")
    file = root.write("strategies/bad.py", text)
    error = root.fails("strategies.bad")
    assert (error.file, error.line) == (str(file), line)
    assert says in error.reason
    assert "stratd_plugins" not in str(error)


@pytest.mark.parametrize(("text", "line"), [("x = 1\nx.y\n", 2), ("x = = 1", 1)])
def test_load_with_a_helper_that_fails_names_the_helper(root: Root, text: str, line: int) -> None:
    root.write("strategies/mine.py", WITH_HELPER)
    helper = root.write("strategies/helper.py", text)
    error = root.fails("strategies.mine")
    assert (error.file, error.line) == (str(helper), line)


def test_load_interrupted_by_the_keyboard_is_not_a_load_error(root: Root) -> None:
    root.write("strategies/mine.py", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        root.load("strategies.mine")
    assert not [name for name in sys.modules if name.startswith("stratd_plugins")]


def test_load_of_a_file_that_is_not_text_says_so(root: Root) -> None:
    (root.path / "bad.py").write_bytes(b"x = '\xff'\n\x00")
    error = root.fails("bad.py")
    assert error.file == str(root.path / "bad.py")


# --- choosing the class --------------------------------------------------------------------------------------------

TWO = PLAIN + "class Other(Plain):\n    pass\n"


def test_load_of_several_classes_lists_them(root: Root) -> None:
    root.write("strategies/two.py", TWO)
    assert root.fails("strategies.two").reason == "defines several strategies, name one with `class_name`: Plain, Other"


def test_load_with_a_class_name_takes_that_one(root: Root) -> None:
    root.write("strategies/two.py", TWO)
    assert root.load("strategies.two", "Other").__name__ == "Other"


def test_load_with_an_unknown_class_name_suggests_the_nearest(root: Root) -> None:
    root.write("strategies/two.py", TWO)
    assert "did you mean 'Other'?; it has: Plain, Other" in root.fails("strategies.two", "Othr").reason


def test_load_with_the_name_of_something_else_says_so(root: Root) -> None:
    root.write("strategies/plain.py", PLAIN + "class Note:\n    pass\n")
    error = root.fails("strategies.plain", "Note")
    assert error.reason == "Note is not a subclass of Strategy"
    assert error.line == 7


def test_load_passes_over_imported_private_abstract_and_shared_base_classes(root: Root) -> None:
    root.write("strategies/helper.py", PLAIN)
    root.write(
        "strategies/mine.py",
        """
        from abc import abstractmethod
        from helper import Plain
        from stratd import Strategy
        class Base(Strategy):
            def size(self): return 1
        class Abstract(Plain):
            @abstractmethod
            def f(self): ...
        Abstract.__abstractmethods__ = frozenset({"f"})
        class _Private(Plain): pass
        class Mine(Base):
            def on_slice(self, interval, close_time, missing): pass
        Alias = Mine
        """,
    )
    assert root.load("strategies.mine").__name__ == "Mine"


def test_load_of_a_module_without_strategy_says_what_to_write(root: Root) -> None:
    root.write("strategies/none.py", "from stratd import Strategy")
    assert "no subclass of Strategy, and no function on_bars(ctx, symbol, interval)" in root.fails("strategies.none").reason


def test_load_of_a_class_with_a_misspelt_callback_suggests_the_right_one(root: Root) -> None:
    root.write("strategies/typo.py", PLAIN.replace("on_bars", "on_bar"))
    error = root.fails("strategies.typo")
    assert "overrides neither on_bars nor on_slice; it has 'on_bar', did you mean 'on_bars'?" in error.reason
    assert error.line == 3


def test_load_of_a_class_with_foreign_params_says_so(root: Root) -> None:
    root.write("strategies/mine.py", PLAIN + "    class Params: pass\n")
    assert "Plain.Params must be a subclass of StrategyParams" in root.fails("strategies.mine").reason


# --- functions -----------------------------------------------------------------------------------------------------


class Context:
    """Notes what is subscribed to."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def subscribe(self, symbols: Any, interval: Any, *, lookback: int = 0) -> tuple[str, ...]:
        self.calls.append((symbols, str(interval), lookback))
        return ("AAA",)


def test_load_of_functions_makes_a_strategy(root: Root) -> None:
    root.write(
        "strategies/small.py",
        """
        def setup(ctx):
            ctx.subscribe("AAA", "1m", lookback=3)
        def on_bars(ctx, symbol, interval):
            '''Notes each bar.'''
            ctx.calls.append((symbol, interval))
        """,
    )
    loaded = root.load("strategies.small")
    strategy, context = loaded(), Context()
    strategy.params, strategy.ctx = loaded.Params(), context
    strategy.setup(context)
    strategy.on_bars("AAA", Interval("1m"))
    assert context.calls == [("AAA", "1m", 3), ("AAA", Interval("1m"))]
    assert (loaded.__name__, loaded.__doc__) == ("small", "Notes each bar.")


def test_load_of_on_bars_alone_subscribes_to_its_params(root: Root) -> None:
    root.write("strategies/small.py", "def on_bars(ctx, symbol, interval): pass")
    loaded = root.load("strategies.small")
    strategy, context = loaded(), Context()
    strategy.params = loaded.Params(symbols=("A*",), interval="15m")
    strategy.setup(context)
    assert context.calls == [(("A*",), "15m", 0)]


@pytest.mark.parametrize(
    ("text", "line", "wanted"),
    [
        ("\ndef on_bars(ctx): pass\n", 2, "on_bars(ctx, symbol, interval)"),
        ("def on_bars(ctx, symbol, interval): pass\ndef setup(): pass\n", 2, "setup(ctx)"),
    ],
)
def test_load_of_a_function_with_other_arguments_says_which(root: Root, text: str, line: int, wanted: str) -> None:
    root.write("strategies/small.py", text)
    error = root.fails("strategies.small")
    assert error.reason == f"the function must take {wanted}"
    assert error.line == line


# --- unload and discover -------------------------------------------------------------------------------------------


def test_unload_forgets_this_load_alone(root: Root) -> None:
    root.write("strategies/mine.py", WITH_HELPER)
    root.write("strategies/helper.py", "VALUE = 1")
    one, two = root.load("strategies.mine", unique_name="a"), root.load("strategies.mine", unique_name="ab")
    unload(one)
    unload(one)
    assert not [name for name in sys.modules if name.startswith("stratd_plugins.a.")]
    assert two.__module__ in sys.modules
    assert two().on_bars("A", None) == 1
    unload(two)
    assert "stratd_plugins" not in sys.modules


def test_unload_of_a_class_that_was_not_loaded_does_nothing() -> None:
    unload(Strategy)
    assert Strategy.__module__ in sys.modules


def test_discover_lists_strategies_and_bad_modules_and_passes_over_helpers(root: Root) -> None:
    root.write("strategies/examples/plain.py", PLAIN)
    root.write("strategies/examples/two.py", "'''Two of them.\n\nMore.'''\n" + TWO)
    root.write("strategies/examples/helper.py", "VALUE = 1")
    root.write("strategies/examples/__pycache__/x.py", "raise RuntimeError")
    root.write("strategies/pack/__init__.py", "from .core import Plain")
    root.write("strategies/pack/core.py", PLAIN)
    root.write("strategies/bad.py", "x = 1\nx.y\n")
    root.write("strategies/typo.py", PLAIN.replace("on_bars", "on_bar"))
    found = discover_strategies(root.path)
    assert [(d.module, d.class_name, d.summary) for d in found if d.error is None] == [
        ("strategies.examples.plain", "Plain", "Does nothing, well."),
        ("strategies.examples.two", "Plain", "Does nothing, well."),
        ("strategies.examples.two", "Other", "Two of them."),
        ("strategies.pack", "Plain", "Does nothing, well."),
    ]
    assert [(d.module, d.file.name) for d in found if d.error is not None] == [
        ("strategies.bad", "bad.py"),
        ("strategies.typo", "typo.py"),
    ]
    assert "line 2" in str(found[0].error)
    assert found[1].params_model is not None
    assert "stratd_plugins" not in sys.modules


def test_discover_without_a_strategies_directory_finds_nothing(tmp_path: Path) -> None:
    assert discover_strategies(tmp_path) == []
