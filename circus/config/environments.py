"""The `[env]` and `[env:PATTERN,...]` sections, and what `$NAME` and `$(circus.env.NAME)` stand for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase

from circus.common import convert, template
from circus.config.check import cut
from circus.config.ini import Document, Problem

PREFIX = "env:"

Layer = tuple[str, str, "dict[str, str]"]  # section, key it stands in (empty: one for each variable), variables


class Environments:
    """Environments of all watchers. `base` is the `[env]` section; `outer` the environment of circusd.

    `expands_dollars`: whether `$NAME` is replaced here, or left to the code that builds the watcher.
    """

    def __init__(self, document: Document, outer: Mapping[str, str], expands_dollars: bool = True) -> None:
        self.problems: list[Problem] = []
        self._expands_dollars = expands_dollars
        self.outer = outer
        self.base: dict[str, str] = {}
        self._document = document
        self._sections = [name for name in document.sections if name.startswith(PREFIX)]
        for key, entry in document.entries("env").items():
            self.problems += cut("env", entry)
            # circusd's own value comes first, so that `PATH = /x:$(circus.env.PATH)` means one thing everywhere
            self.base[key] = self._expand("env", key, entry.value, {**self.base, **outer})

    def known(self, own: Mapping[str, str] | None = None) -> dict[str, str]:
        """Variables of the template `$(circus.env.NAME)`, here or for a watcher whose environment is `own`."""
        return {f"env.{name}": value for name, value in {**self.outer, **self.base, **(own or {})}.items()}

    def layers(self, watcher: str, section: str) -> list[Layer]:
        """What the environment of a watcher is put together from; later layers win."""
        layers: list[Layer] = [("env", "", self.base)]
        text = self._document.get(section, "env")
        if text is not None:
            layers.append((section, "env", self._env_key(section, text)))
        for name in self._sections:
            if any(fnmatchcase(watcher, pattern) for pattern in _patterns(name)):
                layers.append((name, "", self._env_section(name, merged(layers))))
        return layers

    def unused(self, watchers: list[str]) -> Iterator[Problem]:
        """A warning for each plain name in `[env:NAME]` that is no watcher's."""
        for section in self._sections:
            for pattern in _patterns(section):
                if not any(letter in pattern for letter in "*?[") and pattern not in watchers:
                    yield Problem("", 0, section, "", _no_watcher(pattern, watchers), fatal=False)

    def _env_key(self, section: str, text: str) -> dict[str, str]:
        try:
            env = convert.parse_env_str(text)
        except ValueError as exc:
            self.problems.append(Problem("", 0, section, "env", str(exc)))
            return {}
        return {name: self._expand(section, "env", value, {**self.outer, **self.base}) for name, value in env.items()}

    def _env_section(self, section: str, below: Mapping[str, str]) -> dict[str, str]:
        env: dict[str, str] = {}
        for key, entry in self._document.entries(section).items():
            self.problems += cut(section, entry)
            env[key] = self._expand(section, key, entry.value, {**self.outer, **below, **env})
        return env

    def _expand(self, section: str, key: str, value: str, known: Mapping[str, str]) -> str:
        variables = {f"env.{name}": text for name, text in known.items()}
        if not self._expands_dollars:
            return template.expand(value.strip(), variables)
        for name in convert.dollar_names(value):
            if name not in self.outer and name != key:  # `PYTHONPATH = lib:$PYTHONPATH` is meant as it is
                text = f"${name} is not set where circusd runs, so it is empty; write $${name} for the text itself"
                self.problems.append(Problem("", 0, section, key, text, fatal=False))
        return template.expand(convert.expand_dollars(value, self.outer), variables)


def merged(layers: list[Layer]) -> dict[str, str]:
    return {name: value for _, _, env in layers for name, value in env.items()}


def _patterns(section: str) -> list[str]:
    return [pattern.strip() for pattern in section.removeprefix(PREFIX).split(",")]


def _no_watcher(pattern: str, watchers: list[str]) -> str:
    guess = convert.nearest(pattern, watchers)
    hint = f"; did you mean {guess!r}?" if guess else ""
    return f"there is no watcher {pattern!r}{hint}"
