"""The catalogue's part of docs/indicators.md: what each indicator's class says of itself, and its picture."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from typing import Final

from stratd.cli.indicators import parameters_of
from stratd.indicators import catalogue
from stratd.indicators.base import FIELDS, Indicator, Output
from stratd.indicators.catalogue.listing import CATALOGUE, Entry
from tests.docs.pictured import pictures

_WIDTH: Final = 120
_KINDS: Final = {
    "stateless": ("Stateless", "From the bar itself, or with the one before it."),
    "rolling": ("Rolling", "From a window of bars; what came before does not matter."),
    "cumulative": ("Cumulative", "Sums and extremes since the session began, or since the first bar."),
    "recursive": ("Recursive", "From their own last value: what came first fades, and is never quite gone."),
}
_SPACE: Final = "\x01"  # stands for a space that is no place to break a line
_SPAN: Final = re.compile(r"`[^`]+`")


def catalogue_part() -> str:
    """All of it."""
    return "\n\n".join(_parts())


def _parts() -> Iterator[str]:
    names = {entry.spec.name for entry in CATALOGUE}
    for kind, (title, _) in _KINDS.items():
        links = ", ".join(f"[{entry.spec.name}](#{entry.spec.name.lower()})" for entry in CATALOGUE if entry.kind == kind)
        yield _wrapped(f"{title}: {links}.")
    inner = _inner_parts()
    known = names | {one.__name__ for one in inner}
    captions = {picture.spec.name: picture for picture in pictures()}
    for kind, (title, what) in _KINDS.items():
        yield f"## {title}"
        yield what
        for entry in CATALOGUE:
            if entry.kind == kind:
                name = entry.spec.name
                yield f"### {name}"
                yield _wrapped(f"`{_signature(type(entry.spec))}`. {_facts(entry)}")
                yield f"![{name} of {captions[name].caption}](indicators/{name}.png)"
                yield to_markdown(type(entry.spec), known)
    yield "## What several are made of"
    yield "Nobody asks for these; they are computed once for all indicators that need them."
    for part in inner:
        yield f"### {part.__name__}"
        yield to_markdown(part, known)


def _signature(kind: type[Indicator]) -> str:
    shown = []
    for one in parameters_of(kind):
        default = one["default"]
        text = f'"{default}"' if default in FIELDS or default == "session" else str(default)
        shown.append(one["name"] if one["required"] else f"{one['name']}={text}")
    return f"{kind.__name__}({', '.join(shown)})"


def _facts(entry: Entry) -> str:
    spec = entry.spec
    warmups = {name: spec.warmup if len(spec.outputs) == 1 else Output(spec, name).warmup for name in spec.outputs}
    if len(set(warmups.values())) == 1:
        rows = f"{spec.warmup} row{'s' * (spec.warmup > 1)}"
    else:
        rows = ", ".join(f"`{name}` {number}" for name, number in warmups.items())
    outputs = ", ".join(f"`{name}`" for name in spec.outputs)
    talib = "TA-Lib: " + ", ".join(f"`{name}`" for name in entry.talib) if entry.talib else "TA-Lib has none"
    return f"Output{'s' * (len(spec.outputs) > 1)}: {outputs}. Warm-up of `{spec.label}`: {rows}. {talib}."


def _inner_parts() -> list[type[Indicator]]:
    """Indicators that docstrings of the catalogue speak of, which are not in it."""
    modules = [importlib.import_module(one.name) for one in pkgutil.iter_modules(catalogue.__path__, f"{catalogue.__name__}.")]
    listed = {entry.spec.name for entry in CATALOGUE}
    classes = {
        name: value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, Indicator) and not inspect.isabstract(value) and name not in listed
    }
    words = {word for entry in CATALOGUE for word in re.findall(r"`(\w+)`", type(entry.spec).__doc__ or "")}
    return [classes[name] for name in sorted(words & set(classes))]


def to_markdown(kind: type[Indicator], known: set[str]) -> str:
    """A docstring as Markdown: paragraphs, lists, indented formulas, and the attributes as a list of parameters.

    Args:
        known: indicators that have a heading of their own; `see` one of them becomes a link.
    """
    text = inspect.getdoc(kind) or ""
    body, _, attributes = text.partition("\nAttributes:\n")
    found = [_block(block, known) for block in re.split(r"\n{2,}", body.strip("\n"))]
    if attributes:
        found.append("Parameters:")
        found.append("\n".join(_attribute(line, known) for line in _items(textwrap.dedent(attributes))))
    return "\n\n".join(found)


def _block(block: str, known: set[str]) -> str:
    if block.startswith("    "):
        return f"```text\n{textwrap.dedent(block)}\n```"
    if block.startswith("- "):
        return "\n".join(_wrapped(_inline(item, known), "  ") for item in _items(block))
    return _wrapped(_inline(block, known))


def _items(text: str) -> list[str]:
    """Entries of a list, whose further lines are indented."""
    return re.split(r"\n(?=\S)", text.strip("\n"))


def _attribute(line: str, known: set[str]) -> str:
    names, _, what = line.partition(": ")
    return _wrapped(f"- {', '.join(f'`{name}`' for name in names.split(', '))}: {_inline(what, known)}", "  ")


def _inline(text: str, known: set[str]) -> str:
    """Text outside of code without what Markdown would take for something else; links to other indicators."""
    pieces = re.split(f"({_SPAN.pattern})", " ".join(text.split()))
    for at in range(0, len(pieces), 2):
        pieces[at] = re.sub(r"(?<!^)([*<])", r"\\\1", pieces[at])
    for at in range(1, len(pieces), 2):
        name = pieces[at].strip("`")
        if name in known and re.search(r"(?i)(see|as for|those of|that of) $", pieces[at - 1]):
            pieces[at] = f"[{pieces[at]}](#{name.lower()})"
    return "".join(pieces)


def _wrapped(text: str, indent: str = "") -> str:
    """Lines of at most 120 characters; code and links are not broken, and no line begins like an item of a list."""
    kept = re.sub(r"\[[^\]]+\]\([^)]+\)|" + _SPAN.pattern, lambda found: found[0].replace(" ", _SPACE), text)
    kept = re.sub(r" (?=(?:[-+]|\d+\.) )", _SPACE, kept)
    lines = textwrap.fill(kept, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return lines.replace(_SPACE, " ")
