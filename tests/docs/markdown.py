"""What the tests read of a Markdown file: headings, links, tables, and blocks of code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
GUIDES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")])
"""Every page that a reader may come to."""

_FENCE = re.compile(r"```(\w*)\s*$")
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"#{1,6} +(.+?)\s*$")


class Block(NamedTuple):
    """A block of code: its language, its text, and the number of its first line."""

    language: str
    text: str
    line: int


def read(name: str) -> str:
    """The text of a page, by its path in the project."""
    return (ROOT / name).read_text("utf-8")


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks, with language, and the indented ones, without."""
    fenced: str | None = None
    lines: list[str] = []
    begun = 0
    for number, line in enumerate([*text.splitlines(), ""], 1):
        fence = _FENCE.match(line)
        if fenced is not None:
            if fence:
                yield Block(fenced, "\n".join(lines) + "\n", begun)
                fenced, lines = None, []
            else:
                lines.append(line)
        elif fence:
            fenced, begun = fence[1], number + 1
        elif line.startswith("    "):
            begun = begun if lines else number
            lines.append(line[4:])
        elif lines:
            yield Block("", "\n".join(lines) + "\n", begun)
            lines = []


def prose(text: str) -> str:
    """The text without fenced blocks."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def links(text: str) -> list[str]:
    """Where the links in the prose lead to."""
    return _LINK.findall(prose(text))


def anchors(text: str) -> set[str]:
    """What a link may name behind `#`: the headings, as they are made into anchors."""
    headings = [match[1] for line in prose(text).splitlines() if (match := _HEADING.match(line))]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def section(text: str, heading: str) -> str:
    """What stands under a heading, up to the next one of its level or above."""
    marks = next(line.split()[0] for line in text.splitlines() if line.rstrip().endswith(f"# {heading}"))
    _, _, rest = text.partition(f"{marks} {heading}\n")
    return re.split(rf"^#{{1,{len(marks)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def table_rows(text: str) -> list[list[str]]:
    """The cells of the rows of all tables, without the heads."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    rules = [index for index, row in enumerate(rows) if set("".join(row)) <= set("-: ")]
    heads = {index - 1 for index in rules}
    return [row for index, row in enumerate(rows) if index not in heads and index not in rules]
