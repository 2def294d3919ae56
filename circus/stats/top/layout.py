"""How circus-top looks: groups of figures, choices and a size in, lines out. Pure; the same for screen and paper."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from circus.common.names import NOT_AVAILABLE
from circus.stats.top.model import HIDDEN, Figures, Group, number
from circus.stats.top.text import cells, clip, place, printable, spread, table, wrap
from circus.stats.top.view import AGE, CPU, FEW, MEMORY, PID, SORT_KEYS, Place, View

PLAIN, BOLD, DIM, REVERSE = "plain", "bold", "dim", "reverse"

TITLE = "Circus Top"
WAITING = "*** Waiting for data ***"

SILENCE = 3.0  # seconds until it is called one; circusd-stats sends once a second

FIGURE_OF = {CPU: "cpu", MEMORY: "mem", AGE: "age", PID: "pid"}

HELP = (
    ("up, down", "a line"),
    ("PgUp, PgDn", "a screen"),
    ("Home, End", "first or last line"),
    ("Tab, Shift-Tab", "next or previous watcher"),
    ("", ""),
    *((key, f"sort by {name}; again: the other way round") for key, name in SORT_KEYS.items()),
    ("t", f"all processes of a watcher, or only the first {FEW}"),
    ("/", "show only what has this text in its name, pid, user or command"),
    ("Esc", "show all again"),
    ("", ""),
    ("h, ?", "this help"),
    ("q, Ctrl-C", "leave"),
    ("", ""),
    ("CPU (%)", "of one processor, over the last second"),
    ("MEMORY (%)", "resident memory, of all there is"),
    ("AGE (s)", "seconds since the process was started"),
    ("HITS", "how often a socket was ready, of 100 looks in a second"),
)
KEYS_LINE = "q quit  h help  / filter  sort: c cpu  m memory  a age  p pid"


REMEDY = (
    "Is circusd running, with `statsd = true` in the section [circus] of its configuration? "
    "Another address (its stats_endpoint) is named with --endpoint."
)


class Line(NamedTuple):
    text: str
    style: str = PLAIN


Row = Line | Callable[[], Line]
"""A line, or what makes it: of thousands of processes only those on the screen are written out."""


class Silence(NamedTuple):
    """How long nothing came, in seconds; whether something ever did; from where."""

    seconds: float
    ever: bool
    endpoint: str


class Frame(NamedTuple):
    lines: list[Line]
    place: Place


class _Columns(NamedTuple):
    """Where the values stand. Labels such as `(avg)` and long headings need room."""

    values: tuple[int, int, int, int]
    headings: tuple[str, str, str, str] = ("PID", "CPU (%)", "MEMORY (%)", "AGE (s)")
    indent: int = 1  # of a heading over its column
    has_labels: bool = True


_WIDE = _Columns((2, 29, 49, 69))
_LESS_WIDE = _Columns((2, 18, 32, 46))
_NARROW = _Columns((1, 10, 18, 27), ("PID", "CPU%", "MEM%", "AGE"), 0, False)

# To the right of the others as far as there is room: from this width of the screen on, figure, heading, its columns.
_EXTRAS = (
    (130, "mem_info1", "RSS", 10),
    (142, "ctime", "CPU TIME", 12),
    (154, "username", "USER", 12),
    (100, "cmdline", "COMMAND", 0),
)
_EXTRAS_AT = 88

_HITS = 12  # columns of a number of hits and the label of their sum

_FRAMED = 8  # lines a screen has at least, to be worth a title and all that
_PINNED = 2  # lines of a watcher that stay while its processes pass under them


def lay_out(
    groups: Sequence[Group], view: View, width: int, height: int, silence: Silence, encoding: str = "utf-8"
) -> Frame:
    """The screen: title, rule, as much as fits of the groups, rule, keys. A screen of few lines has groups only."""
    groups = _visible(groups)
    paper = _Paper(view, width, encoding)
    body, heads = paper.help_page() if view.help else paper.pages(groups, silence)
    frame = height >= _FRAMED
    page = height - 4 if frame else height
    last = max(0, len(body) - page)
    top = min(view.top, last)
    shown = paper.window(body, heads, top, page)
    if frame:
        above = [paper.title(groups), paper.rule()]
        gap = [Line("")] * (page - len(shown))
        shown = [*above, *shown, *gap, paper.rule(), paper.status(top, page, len(body))]
    # From one screen to the next two lines come again, since name and headings of a watcher stand over them.
    return Frame(shown, Place(top, last, max(1, page - _PINNED), heads))


def plain(groups: Sequence[Group], view: View, width: int, encoding: str = "utf-8") -> list[str]:
    """All of it as text, for a file or a pipe."""
    paper = _Paper(view, width, encoding)
    body, _ = paper.pages(_visible(groups), None)
    return [line.text.rstrip() for line in written([Line(TITLE), paper.rule(), *body, paper.rule()])]


def _visible(groups: Sequence[Group]) -> list[Group]:
    return [group for group in groups if group.name not in HIDDEN]


def written(rows: Sequence[Row]) -> list[Line]:
    return [row if isinstance(row, Line) else row() for row in rows]


class _Paper:
    """What all lines of one drawing have in common."""

    def __init__(self, view: View, width: int, encoding: str) -> None:
        self.view = view
        self.width = width
        self.encoding = encoding
        self.columns = _WIDE if width >= 80 else _LESS_WIDE if width >= 60 else _NARROW
        self.extras = list(_extras(width))
        self.wanted = self.text(view.shown_filter).casefold()

    def text(self, value: object) -> str:
        return printable(value, self.encoding)

    # ---- frame and help ----------

    def rule(self) -> Line:
        return Line("-" * self.width, DIM)

    def title(self, groups: Sequence[Group]) -> Line:
        processes = sum(len(group.entries) for group in groups if not group.has_sockets)
        order = f"by {self.view.sort}{', reversed' if self.view.reverse else ''}"
        counts = _count(processes, "process", "processes")
        filtered = f"  /{self.text(self.view.shown_filter)}" if self.wanted else ""
        return Line(spread(TITLE, f"{counts}, {order}{filtered}", self.width), BOLD)

    def status(self, top: int, page: int, total: int) -> Line:
        if self.view.typing is not None:
            # The end of a long text is what is being typed.
            typed = f"/{self.text(self.view.typing)}"[-max(1, self.width // 2) :]
            return Line(clip(f"{typed}_".ljust(self.width), self.width), REVERSE)
        keys = "press h again to leave the help" if self.view.help else KEYS_LINE
        where = f"{top + 1}-{min(top + page, total)}/{total}" if total > page else ""
        room = self.width - len(where) - 1
        return Line(spread(clip(keys, room), where, self.width), DIM)

    def help_page(self) -> tuple[list[Row], tuple[int, ...]]:
        return list(map(Line, table(HELP, min(18, self.width // 3), self.width))), ()

    # ---- the groups ----

    def pages(self, groups: Sequence[Group], silence: Silence | None) -> tuple[list[Row], tuple[int, ...]]:
        """All lines there are, and where the groups begin."""
        body: list[Row] = [Line(text, BOLD) for text in self._notice(groups, silence)] if silence else []
        heads = []
        for group in groups:
            found = self._found(group)
            if found:
                if body:
                    body.append(Line(""))
                heads.append(len(body))
                body += self._group(group, found)
        if groups and not heads:
            body.append(Line(clip(f"nothing has `{self.text(self.view.shown_filter)}` in it", self.width), BOLD))
        return body, tuple(heads)

    def _notice(self, groups: Sequence[Group], silence: Silence) -> Iterator[str]:
        if not silence.ever:
            yield clip(WAITING, self.width)
        if silence.seconds >= SILENCE:
            since = "for" if silence.ever else "within"
            what = f"No figures from {self.text(silence.endpoint)} {since} {silence.seconds:.0f} s."
            yield from wrap(what, self.width)
            yield from wrap(REMEDY, self.width)
        elif silence.ever and not groups:
            yield clip("no watcher has a process", self.width)

    def window(self, body: list[Row], heads: tuple[int, ...], top: int, page: int) -> list[Line]:
        """A part of the lines. Name and headings of a watcher stay while its processes pass under them."""
        shown = body[top : top + page]
        head = max((head for head in heads if head <= top), default=None)
        if head is not None and len(shown) > 4 and Line("") not in body[top : top + 3]:
            shown[:_PINNED] = body[head : head + _PINNED]
        return written(shown)

    def _found(self, group: Group) -> list[Figures]:
        figures = group.figures
        if self.wanted and self.wanted not in self.text(group.name).casefold():
            figures = [one for one in figures if self._fits(one)]
        return _sorted(figures, self.view, group.has_sockets)

    def _fits(self, figures: Figures) -> bool:
        values = (figures.get(key) or "" for key in ("pid", "name", "cmdline", "username", "address"))
        return any(self.wanted in self.text(value).casefold() for value in values)

    def _group(self, group: Group, found: list[Figures]) -> Iterator[Row]:
        shown = found[:FEW] if self.view.few else found
        total = len(group.entries)
        words = ("socket", "sockets") if group.has_sockets else ("process", "processes")
        counts = f"{len(shown)} of {_count(total, *words)}" if len(shown) < total else _count(total, *words)
        yield Line(clip(f"{self.text(group.name)}  {counts}", self.width), BOLD)
        if group.has_sockets:
            yield from self._sockets(group, shown)
        else:
            yield Line(self._headings(), REVERSE)
            yield from (partial(self._process, figures) for figures in shown)
            yield Line(self._sums(group), DIM)

    def _headings(self) -> str:
        columns = self.columns
        headings = zip(columns.values, columns.headings, strict=True)
        # PID stands over the second digit, the others before the first one.
        parts = [(at + (columns.indent if at == columns.values[0] else -columns.indent), text) for at, text in headings]
        return place([*parts, *((at, heading) for at, _, heading in self.extras)], self.width).ljust(self.width)

    def _process(self, figures: Figures) -> Line:
        pid = self.text(figures.get("pid", NOT_AVAILABLE))
        if figures.get("name"):
            pid = f"{pid} ({self.text(figures['name'])})"
        values = [pid, *(_decimals(figures.get(key)) for key in ("cpu", "mem", "age"))]
        parts = [*zip(self.columns.values, values, strict=True)]
        parts += [(at, self.text(figures.get(key, NOT_AVAILABLE))) for at, key, _ in self.extras]
        return Line(place(parts, self.width))

    def _sums(self, group: Group) -> str:
        labels = {"cpu": "avg", "mem": "sum", "age": "older"}
        parts = []
        for at, (key, label) in zip(self.columns.values[1:], labels.items(), strict=True):
            value = _decimals(group.total(key))
            parts.append((at, f"{value} ({label})" if self.columns.has_labels else value))
        return place(parts, self.width if not self.extras else self.extras[0][0])

    def _sockets(self, group: Group, shown: Sequence[Figures]) -> Iterator[Line]:
        at, hits_at = self.columns.values[:2]
        rows = [(self.text(one.get("address", NOT_AVAILABLE)), _whole(one.get("reads"))) for one in shown]
        # Paths are longer than process ids; where there is room they get it.
        longest = max(cells(address) for address, _ in rows)
        hits_at = max(hits_at, min(at + longest + 2, self.width - _HITS))
        indent = self.columns.indent
        yield Line(place([(at + indent, "ADDRESS"), (hits_at - indent, "HITS")], self.width).ljust(self.width), REVERSE)
        for address, hits in rows:
            yield Line(place([(at, address), (hits_at, hits)], self.width))
        yield Line(place([(hits_at, f"{_whole(group.total('reads'))} (sum)")], self.width), DIM)


def _extras(width: int) -> Iterator[tuple[int, str, str]]:
    at = _EXTRAS_AT
    for needed, key, heading, columns in _EXTRAS:
        if width >= needed:
            yield at, key, heading
            at += columns


def _sorted(figures: Sequence[Figures], view: View, has_sockets: bool) -> list[Figures]:
    """What is largest or oldest first, pids from the smallest; what has no number comes last in any order.

    Sockets have hits only, and an order in which they do not jump: that of their descriptors.
    """
    key = "fd" if has_sockets else FIGURE_OF[view.sort]
    downwards = (not has_sockets and view.sort != PID) != view.reverse

    def rank(one: Figures) -> tuple[bool, float, float]:
        value, tie = number(one.get(key)), number(one.get("pid"))
        signed = 0.0 if value is None else -value if downwards else value
        return value is None, signed, math.inf if tie is None else tie

    return sorted(figures, key=rank)


def _decimals(value: object) -> str:
    known = number(value)
    return NOT_AVAILABLE if known is None else f"{known:.2f}"


def _whole(value: object) -> str:
    known = number(value)
    return NOT_AVAILABLE if known is None else f"{known:.0f}"


def _count(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"
