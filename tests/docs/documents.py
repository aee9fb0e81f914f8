"""The documents that are tested, and what is found in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from sybil import Document
from sybil.parsers.markdown.lexers import FencedCodeBlockLexer

from tests.docs.generated import ROOT

DOCUMENTS: Final = sorted(
    [
        ROOT / "README.md",
        *ROOT.glob("docs/**/*.md"),
        *ROOT.glob("bench/README.md"),
        *ROOT.glob("session_configs/*/README.md"),
        *ROOT.glob("strategies/*/README.md"),
    ]
)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_SPAN: Final = re.compile(r"`([^`]+)`")


def name_of(path: Path) -> str:
    """A document's name in test ids."""
    return str(path.relative_to(ROOT))


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `kind` is its info string's words: `("python", "strategy", "mean_cross")`."""

    document: Path
    line: int
    kind: tuple[str, ...]
    source: str

    @property
    def where(self) -> str:
        """For test ids and messages."""
        return f"{name_of(self.document)}:{self.line}"


_FENCES: Final = FencedCodeBlockLexer("[^`\n]*")


@cache
def blocks(document: Path) -> tuple[Block, ...]:
    """The fenced blocks of a document, in order."""
    text = document.read_text(encoding="utf-8")
    return tuple(
        Block(
            document,
            text.count("\n", 0, region.start) + 1,
            tuple(region.lexemes["language"].split()),
            str(region.lexemes["source"]),
        )
        for region in _FENCES(Document(text, str(document)))
    )


def all_blocks(*kind: str) -> list[Block]:
    """The blocks of all documents whose kind begins so."""
    return [block for document in DOCUMENTS for block in blocks(document) if block.kind[: len(kind)] == kind]


def prose(document: Path) -> str:
    """A document without its fenced blocks."""
    return re.sub(r"^ *```.*?^ *```$", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)


def links(document: Path) -> list[str]:
    """Targets of links."""
    return _LINK.findall(prose(document))


def spans(document: Path) -> list[str]:
    """What stands in `code`, on one line."""
    return [" ".join(span.split()) for span in _SPAN.findall(prose(document))]


def headings(document: Path) -> set[str]:
    """The anchors of a document's headings, as code hosts make them."""
    titles = re.findall(r"^#+ (.*)$", prose(document), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands() -> Iterator[tuple[str, str]]:
    """Every `stratd ...` line that is shown anywhere, with where it stands."""
    for block in all_blocks("console"):
        yield from ((block.where, line[2:]) for line in block.source.splitlines() if line.startswith("$ stratd"))
    for document in DOCUMENTS:
        yield from ((name_of(document), span) for span in spans(document) if span.startswith("stratd "))


def rows(document: Path, first_heading: str) -> dict[str, list[str]]:
    """The rows of the table whose first heading is this, by their first cell."""
    found: dict[str, list[str]] = {}
    inside = False
    for line in document.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            inside = False
        elif cells[0] == first_heading:
            inside = True
        elif inside and not cells[0].startswith("---"):
            found[cells[0]] = cells[1:]
    return found
