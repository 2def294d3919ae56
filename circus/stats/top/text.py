"""Text in the cells of a terminal: what may be shown, how wide it is, and how to fit it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# Of a name or command line more than this never fits on a screen.
_LONGEST = 1000

_CUT = "~"


def printable(value: object, encoding: str = "utf-8") -> str:
    """As text; what a terminal would obey, or cannot show in its encoding, is escaped (`\\x1b`)."""
    text = str(value)[:_LONGEST]
    if text.isascii() and text.isprintable():
        return text
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def cells(text: str) -> int:
    """How many columns a printable text takes."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    from unicodedata import category, east_asian_width  # here, since most names do without

    if category(char) in ("Mn", "Me"):  # drawn onto the character before it
        return 0
    return 2 if east_asian_width(char) in "WF" else 1


def clip(text: str, room: int) -> str:
    """The beginning of a text that fits into `room` columns, with a mark if something is missing."""
    if cells(text) <= room:
        return text
    if room <= len(_CUT):
        return _CUT[: max(room, 0)]
    kept, left = [], room - len(_CUT)
    for char in text:
        left -= _cells(char)
        if left < 0:
            break
        kept.append(char)
    return "".join(kept) + _CUT


def place(parts: Sequence[tuple[int, str]], width: int) -> str:
    """A line with each text at its column, cut before the next one.

    The last text moves to the left if that saves it from being cut at the edge.
    """
    line = ""
    for index, (column, text) in enumerate(parts):
        is_last = index == len(parts) - 1
        end = width if is_last else min(width, parts[index + 1][0] - 1)
        if is_last:
            column = max(min(column, width - cells(text)), cells(line) + 1 if line else 0)
        line += " " * (column - cells(line)) + clip(text, end - column)
    return clip(line.rstrip(), width)


def spread(left: str, right: str, width: int) -> str:
    """Two texts at the edges of a line. If both do not fit, the right one is cut."""
    left = clip(left, width)
    if not right:
        return left
    gap = width - cells(left) - cells(right)
    return left + " " * gap + right if gap > 0 else clip(f"{left} {right}", width)


def wrap(text: str, width: int) -> list[str]:
    """The words of a text in lines; a word that is too long is cut."""
    lines: list[str] = []
    for word in text.split():
        if lines and cells(lines[-1]) + 1 + cells(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(clip(word, width))
    return lines


def table(rows: Iterable[tuple[str, str]], column: int, width: int) -> list[str]:
    """Lines of two columns."""
    return [place([(0, left), (column, right)], width) for left, right in rows]
