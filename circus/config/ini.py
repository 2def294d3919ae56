"""The syntax of a configuration file: text to sections and entries that remember their file and line.

Written by hand because `configparser` forgets line numbers, stops at the first error and reads inline comments
and repeated keys another way. There is no interpolation: `%` is an ordinary letter, and so is `$` here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from circus.exc import ConfigError

DEFAULT = "DEFAULT"

_HEADER = re.compile(r"\[(.+)\]")
_COMMENT_AFTER_HEADER = re.compile(r"(?<=\])\s+[;#].*")
_ENTRY = re.compile(r"([^=:]+)[=:](.*)", re.DOTALL)


class Problem:
    """Something to mend in a configuration.

    `fatal`: it cannot be used as a whole. `skips`: only this section does not do what it is for. Neither: it works, but
    perhaps not as meant. `line` is 0 when no line is to blame, `file` empty until the problem is located.
    """

    __slots__ = ("fatal", "file", "key", "line", "section", "skips", "text")

    def __init__(
        self,
        file: str,
        line: int,
        section: str,
        key: str,
        text: str,
        fatal: bool = True,
        skips: bool = False,
    ) -> None:
        self.file = file
        self.line = line
        self.section = section
        self.key = key
        self.text = text
        self.fatal = fatal
        self.skips = skips

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        names = " ".join(filter(None, (self.section and f"[{self.section}]", self.key)))
        return ": ".join(filter(None, (place, names, self.text)))

    def __repr__(self) -> str:
        severity = "fatal" if self.fatal else "skips" if self.skips else "warning"
        return f"<Problem {severity} {self}>"


def fatal_texts(problems: Iterable[Problem]) -> list[str]:
    """Why a configuration cannot be used, for people; empty if it can."""
    return [str(problem) for problem in problems if problem.fatal]


def raise_if_fatal(problems: Iterable[Problem]) -> None:
    """ConfigError with all that must be mended."""
    texts = fatal_texts(problems)
    if texts:
        raise ConfigError(texts)


class Entry:
    """One `key = value`, with the place it was read from. `is_cut`: a comment follows the value."""

    __slots__ = ("file", "is_cut", "key", "line", "value")

    def __init__(self, key: str, value: str, file: str, line: int, is_cut: bool = False) -> None:
        self.key = key
        self.is_cut = is_cut
        self.value = value
        self.file = file
        self.line = line


class Section:
    """A section: its own entries, in order; the first definition of a key stays."""

    __slots__ = ("entries", "file", "line", "name")

    def __init__(self, name: str, file: str, line: int) -> None:
        self.name = name
        self.file = file
        self.line = line
        self.entries: dict[str, Entry] = {}


class Document:
    """Everything that one or more files say. `parse` them in the order of precedence: the first one wins."""

    def __init__(self) -> None:
        self.files: list[str] = []
        self.sections: dict[str, Section] = {}
        self.defaults = Section(DEFAULT, "", 0)
        self.problems: list[Problem] = []

    def entries(self, section: str) -> dict[str, Entry]:
        """The entries of a section on top of those of `[DEFAULT]`; nothing if there is no such section."""
        if section not in self.sections:
            return {}
        return {**self.defaults.entries, **self.sections[section].entries}

    def get(self, section: str, key: str) -> str | None:
        entry = self.entries(section).get(key)
        return entry.value if entry else None

    def locate(self, problem: Problem) -> Problem:
        """Fill in file and line of a problem that only knows its section and key."""
        if problem.file:
            return problem
        folded = {name.lower(): name for name in self.sections}  # names of sockets are lower-cased in specs
        section = problem.section if problem.section in self.sections else folded.get(problem.section.lower(), "")
        place = self.entries(section).get(problem.key) or self.sections.get(section)
        if place:
            problem.file, problem.line = place.file, place.line
        return problem

    def parse(self, text: str, file: str) -> None:
        """Add what `text`, the content of `file`, says. Faults go to `problems`."""
        if _is_utf_16(text):
            self._fault(file, 1, "", "the file is written in UTF-16; save it as UTF-8")
            return
        section: Section | None = None
        entry: Entry | None = None  # the one an indented line continues
        for number, line in _lines(text):
            if "\0" in line:  # no system call takes one, so nothing a configuration names can hold it
                self._fault(file, number, section.name if section else "", "the line holds a NUL byte")
            elif line[0].isspace() and section and entry:
                self._continue(section, entry, line.strip(), number)
            elif line[0] == "[":
                section, entry = self._section(line, file, number), None
            else:
                section = section or self._no_section(file, number)
                entry = self._entry(section, line.strip(), file, number)

    def _fault(self, file: str, line: int, section: str, text: str, key: str = "", fatal: bool = True) -> None:
        self.problems.append(Problem(file, line, section, key, text, fatal))

    def _no_section(self, file: str, number: int) -> Section:
        """A place for entries that belong nowhere, so that the rest of the file is looked at too."""
        self._fault(file, number, "", "stands before any section; a line like [circus] must come first")
        return Section("", file, number)

    def _section(self, line: str, file: str, number: int) -> Section:
        match = _HEADER.match(_COMMENT_AFTER_HEADER.sub("", line))
        if not match:
            self._fault(file, number, "", f"{line.strip()!r} is not a section; write [NAME]")
            return Section("", file, number)
        name = match[1]
        if name == DEFAULT:
            return self.defaults
        return self.sections.setdefault(name, Section(name, file, number))

    def _entry(self, section: Section, line: str, file: str, number: int) -> Entry:
        """The entry a line defines. One that is broken or comes too late is returned too, but kept nowhere."""
        match = _ENTRY.match(line)
        if not match:
            self._fault(file, number, section.name, f"{line!r} is not of the form `key = value`")
            return Entry("", "", file, number)
        value, is_cut = _value(match[2])
        entry = Entry(match[1].rstrip(), value, file, number, is_cut)
        first = section.entries.setdefault(entry.key, entry)
        if first is not entry and first.value != entry.value:
            where = f"{first.file}:{first.line}"
            self._fault(file, number, section.name, f"has no effect: {where} sets it first", entry.key, False)
        if entry.value.startswith(";"):
            text = "the value starts with `;`: a comment needs a value and a blank before it"
            self._fault(file, number, section.name, text, entry.key, False)
        return entry

    def _continue(self, section: Section, entry: Entry, line: str, number: int) -> None:
        entry.value = f"{entry.value}\n{line}"
        if line[0] in "#;[":
            text = f"{line!r} is indented, so it is part of this value; comments and sections start in column 1"
            self._fault(entry.file, number, section.name, text, entry.key, False)


def _is_utf_16(text: str) -> bool:
    """By its byte order mark, as it looks when taken for UTF-8, or by the half of a letter that is NUL."""
    return text.startswith(("\udcff\udcfe", "\udcfe\udcff")) or (len(text) > 1 and "\0" in text[:2])


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Numbered lines that say something: neither blank nor `#`, `;` or `rem` comments, which start in column 1."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip() and line[0] not in "#;" and not _is_remark(line):
            yield number, line


def _is_remark(line: str) -> bool:
    return line[0] in "rR" and line.split(None, 1)[0].lower() == "rem"


def _value(text: str) -> tuple[str, bool]:
    """A value without the comment after it, and whether there is one: at its first `;`, if a blank stands before."""
    text = text.lstrip()
    at = text.find(";")
    is_cut = at > 0 and text[at - 1].isspace()
    text = (text[:at] if is_cut else text).strip()
    return "" if text == '""' else text, is_cut
