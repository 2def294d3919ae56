"""What the user of circus-top wants to see: order, filter, place. Keys in, choices out; pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

# Names of the keys that are no characters.
UP, DOWN, PAGE_UP, PAGE_DOWN, HOME, END = "up", "down", "page up", "page down", "home", "end"
TAB, BACK_TAB = "tab", "back tab"
ENTER, ESCAPE, BACKSPACE, CLEAR = "enter", "escape", "backspace", "clear"

CPU, MEMORY, AGE, PID = "cpu", "memory", "age", "pid"

SORT_KEYS = {"c": CPU, "m": MEMORY, "a": AGE, "p": PID}

FEW = 10  # processes of a watcher, if not all are wanted

_LONGEST_FILTER = 200


class Place(NamedTuple):
    """Where the screen stands in what there is to show, all in lines. Known only when it was laid out."""

    top: int = 0  # first line on the screen
    last: int = 0  # the largest `top` that makes sense
    page: int = 1  # how far one screen is from the next
    heads: tuple[int, ...] = ()  # where the watchers begin


class View:
    """The choices. `place` is told after each drawing, as only that knows how much there is."""

    def __init__(self) -> None:
        self.sort = CPU
        self.reverse = False
        self.filter = ""
        self.typing: str | None = None  # the filter while it is being typed
        self.few = False
        self.help = False
        self.top = 0
        self._place = Place()
        self._top_behind = 0  # where we were when the help was called

    @property
    def shown_filter(self) -> str:
        return self.filter if self.typing is None else self.typing

    @property
    def place(self) -> Place:
        return self._place

    @place.setter
    def place(self, place: Place) -> None:
        self._place = place
        self.top = place.top

    def press(self, key: str) -> bool:
        """Take a key: a character, or one of the names above. False: the user wants to leave."""
        if self.typing is not None:
            self._type(self.typing, key)
        elif key == "q":
            return False
        elif key in _MOVES:
            self.top = max(0, _MOVES[key](self.top, self._place))
        elif self.help:
            self.help, self.top = False, self._top_behind
        else:
            self._choose(key)
        return True

    def _choose(self, key: str) -> None:
        if key in SORT_KEYS:
            wanted = SORT_KEYS[key]
            self.reverse = wanted == self.sort and not self.reverse
            self.sort = wanted
        elif key in ("h", "?"):
            self.help, self._top_behind, self.top = True, self.top, 0
        elif key == "t":
            self.few = not self.few
        elif key == "/":
            self.typing = self.filter
        elif key == ESCAPE:
            self._set_filter("")

    def _type(self, text: str, key: str) -> None:
        if key == ENTER:
            self._set_filter(text)
        elif key == ESCAPE:
            self.typing = None
        elif key == BACKSPACE:
            self.typing = text[:-1]
        elif key == CLEAR:
            self.typing = ""
        elif len(key) == 1 and key.isprintable() and len(text) < _LONGEST_FILTER:
            self.typing = text + key

    def _set_filter(self, text: str) -> None:
        if text != self.filter:
            self.top = 0
        self.filter, self.typing = text.strip(), None


_MOVES: dict[str, Callable[[int, Place], int]] = {
    UP: lambda top, place: top - 1,
    DOWN: lambda top, place: top + 1,
    PAGE_UP: lambda top, place: top - place.page,
    PAGE_DOWN: lambda top, place: top + place.page,
    HOME: lambda top, place: 0,
    END: lambda top, place: place.last,
    TAB: lambda top, place: next((head for head in place.heads if head > top), top),
    BACK_TAB: lambda top, place: next((head for head in reversed(place.heads) if head < top), 0),
}
