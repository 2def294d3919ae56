"""Restarts a watcher whose processes use too much of the machine, or so little that they must be stuck.

    [plugin:memory]
    use = circus.plugins.resource_watcher.ResourceWatcher
    watcher = web
    max_mem = 500M
    loop_rate = 30

Every `loop_rate` seconds the process that uses most (for the lower limits: least) is compared with each limit. When one
limit was passed more than `max_count` times in a row, the watcher is restarted and counting begins anew.

- Processor limits are percent of one processor since the last look, so the first look at a process tells nothing.
- Memory limits are percent of the machine's memory (`90`, `90%`) or resident sizes with a unit (`10M`, `1.5G`).
- `health_threshold` is a limit for the mean of processor and memory percent; 0 turns it off.
- With `process_children` the direct children of the processes are looked at too, each on its own, and one that passes
  a limit too often gets `child_signal`; no other process does.

A figure the system does not tell is compared with nothing. A watcher that is not active is left alone. What is found is
counted at the statsd server: `_resource_watcher.WATCHER.` and `over_cpu`, `under_cpu`, `over_memory`, `under_memory`,
`over_health`, `restarting` or `error`.
"""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from circus.common.convert import human2bytes
from circus.common.names import ACTIVE
from circus.options.kinds import BOOLEAN, SIGNAL, TEXT
from circus.plugins.figures import number_in, size_in
from circus.plugins.options import COUNT, NUMBER, number, plugin_option, read_options, text_kind
from circus.plugins.statsd import BaseObserver, ObserverOptions

logger = logging.getLogger("circus")

OVER_CPU = "over_cpu"
UNDER_CPU = "under_cpu"
OVER_MEMORY = "over_memory"
UNDER_MEMORY = "under_memory"
OVER_HEALTH = "over_health"
RESTARTING = "restarting"
ERROR = "error"


# ---- figures in, decisions out -----------------------------------------------------------------------------------


class Memory(NamedTuple):
    """A limit: bytes, or percent of the machine's memory."""

    value: float
    is_size: bool

    def __str__(self) -> str:
        return f"{self.value:g}{'B' if self.is_size else '%'}"


class Figures(NamedTuple):
    """What a process uses; None: not known."""

    cpu: float | None  # percent of one processor
    memory: float | None  # percent of all
    size: float | None  # resident, in bytes


class Limits(NamedTuple):
    """None: no such limit."""

    max_cpu: float | None = None
    min_cpu: float | None = None
    max_mem: Memory | None = None
    min_mem: Memory | None = None
    health_threshold: float | None = None

    def passed(self, processes: Sequence[Figures]) -> list[str]:
        """Which limits at least one of these processes is beyond."""
        cpu, memory = [one.cpu for one in processes], [one.memory for one in processes]
        most_cpu, most_memory = _extreme(max, cpu), _extreme(max, memory)
        answers = {
            OVER_CPU: _is_over(most_cpu, self.max_cpu),
            UNDER_CPU: _is_over(self.min_cpu, _extreme(min, cpu), or_equal=True),
            OVER_MEMORY: _is_over(_extreme(max, _of_kind(self.max_mem, processes)), _value(self.max_mem)),
            UNDER_MEMORY: _is_over(_value(self.min_mem), _extreme(min, _of_kind(self.min_mem, processes))),
            OVER_HEALTH: _is_over(_mean(most_cpu, most_memory), self.health_threshold),
        }
        return [name for name, answer in answers.items() if answer]


class Verdict(NamedTuple):
    """What one look has led to."""

    passed: list[str]  # limits, once for each time; names of buckets
    restart: bool = False
    children: tuple[tuple[int, int], ...] = ()  # (parent, child) to be signalled


class Judge:
    """Counts how often in a row each limit was passed, by the processes of a watcher and by each of their children."""

    def __init__(self, limits: Limits, max_count: int, with_children: bool = False) -> None:
        self._limits = limits
        self._max_count = max_count
        self._with_children = with_children
        self._counts: dict[int, dict[str, int]] = {}  # by pid of a child, 0 for the processes together
        self._known: set[int] = set()

    def look(self, infos: Mapping[str, Any]) -> Verdict:
        """`infos` is what `stats` tells of a watcher: by process id figures, or text for one that is gone."""
        processes = {int(pid): info for pid, info in infos.items() if isinstance(info, Mapping)}
        families = {
            (parent, child["pid"]): child
            for parent, info in processes.items()
            for child in (info.get("children") or () if self._with_children else ())
        }
        figures = {pid: self._figures(pid, info) for pid, info in processes.items()}
        of_children = {pids: self._figures(pids[1], info) for pids, info in families.items()}
        self._known = {*figures, *(child for _, child in families)}
        self._counts = {who: counts for who, counts in self._counts.items() if who in (0, *self._known)}
        return self._verdict(list(figures.values()), of_children)

    def _verdict(self, processes: list[Figures], children: Mapping[tuple[int, int], Figures]) -> Verdict:
        passed = self._limits.passed(processes)
        restart = self._is_enough(0, passed)
        signalled = []
        for (parent, child), figures in children.items():
            found = self._limits.passed([figures])
            passed += found
            if self._is_enough(child, found):
                signalled.append((parent, child))
        # With the watcher its children go.
        return Verdict(passed, restart, () if restart else tuple(signalled))

    def _is_enough(self, who: int, passed: Iterable[str]) -> bool:
        """Whether one limit was passed too often; then, and for limits that were not passed, counting begins anew."""
        before = self._counts.pop(who, {})
        counts = {name: before.get(name, 0) + 1 for name in passed}
        if max(counts.values(), default=0) > self._max_count:
            return True
        self._counts[who] = counts
        return False

    def _figures(self, pid: int, info: Mapping[str, Any]) -> Figures:
        # The system has only counters: at the first look there is nothing to compare them with.
        cpu = number_in(info.get("cpu")) if pid in self._known else None
        return Figures(cpu, number_in(info.get("mem")), size_in(info.get("mem_info1")))


def _extreme(choose: Callable[[list[float]], float], values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return choose(known) if known else None


def _of_kind(limit: Memory | None, processes: Sequence[Figures]) -> Iterator[float | None]:
    return (one.size if limit is not None and limit.is_size else one.memory for one in processes)


def _value(limit: Memory | None) -> float | None:
    return None if limit is None else limit.value


def _mean(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else (a + b) / 2


def _is_over(a: float | None, b: float | None, or_equal: bool = False) -> bool:
    """False if one of them is not known."""
    return a is not None and b is not None and (a > b or (or_equal and a == b))


# ---- the plugin --------------------------------------------------------------------------------------------------


def memory(text: str) -> Memory:
    """Percent, as `90` or `90%`, or a size with a unit, as `1.5G`."""
    if not text[-1].isalpha():
        return Memory(number(text.removesuffix("%")), is_size=False)
    size = human2bytes(text)
    if size < 0:
        raise ValueError("a size cannot be negative")
    return Memory(size, is_size=True)


MEMORY = text_kind("memory", memory)


class ResourceOptions(ObserverOptions):
    """Options of ResourceWatcher:"""

    __slots__ = ()

    watcher = plugin_option(TEXT, "", "the watcher to look after")
    service = plugin_option(TEXT, "", "the old name of `watcher`")
    max_cpu = plugin_option(NUMBER, 90.0, "most percent of one processor")
    min_cpu = plugin_option(NUMBER, None, "least percent of one processor")
    max_mem = plugin_option(MEMORY, Memory(90.0, is_size=False), "most memory: percent, or a size such as `1.5G`")
    min_mem = plugin_option(MEMORY, None, "least memory")
    health_threshold = plugin_option(NUMBER, 75.0, "highest mean of processor and memory percent; 0: none")
    max_count = plugin_option(COUNT, 3, "how many times in a row a limit may be passed")
    process_children = plugin_option(BOOLEAN, False, "look at the direct children too")
    child_signal = plugin_option(SIGNAL, int(signal.SIGTERM), "signal for a child that is beyond a limit")


class ResourceWatcher(BaseObserver):
    """Restarts a watcher, or signals a child of its processes, that is beyond a limit for too long."""

    name = "resource_watcher"
    option_table = ResourceOptions
    is_for_statsd = False

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        options = read_options(self, ResourceOptions)
        self.watcher: str = options.watcher or options.service
        if options.service:
            text = "ResourceWatcher.service is deprecated please use ResourceWatcher.watcher instead."
            warnings.warn(text, DeprecationWarning, stacklevel=2)
        if not self.watcher:
            who = config.get("name") or type(self).__name__
            raise ValueError(f"{who}: watcher is missing: name the watcher to look after")
        self.limits = Limits(
            max_cpu=options.max_cpu,
            min_cpu=options.min_cpu,
            max_mem=options.max_mem,
            min_mem=options.min_mem,
            health_threshold=options.health_threshold or None,
        )
        self.max_count = options.max_count
        self.process_children = options.process_children
        self.child_signal = options.child_signal
        self._judge = self._new_judge()
        self._trouble = ""

    def _new_judge(self) -> Judge:
        return Judge(self.limits, self.max_count, self.process_children)

    def look_after(self) -> None:
        reply = self.call("stats", name=self.watcher)
        if not isinstance(reply.get("info"), Mapping):
            self._cannot_look(str(reply.get("reason")))
            return
        self._trouble = ""
        verdict = self._judge.look(reply["info"])
        for name in verdict.passed:
            self._count(name)
        if (verdict.restart or verdict.children) and self._is_active():
            self._act(verdict)

    def _act(self, verdict: Verdict) -> None:
        if verdict.restart:
            self._count(RESTARTING)
            logger.warning("resource_watcher: %s is restarted: it was beyond a limit for too long", self.watcher)
            self.cast("restart", name=self.watcher, match="simple")
        for parent, child in verdict.children:
            self._count(RESTARTING)
            logger.warning("resource_watcher: %s: child %d was beyond a limit for too long", self.watcher, child)
            self.cast("signal", name=self.watcher, signum=self.child_signal, pid=parent, childpid=child)

    def _is_active(self) -> bool:
        """One that was stopped by hand meanwhile stays so; one that is just coming or going is left alone."""
        return self.call("status", name=self.watcher).get("status") == ACTIVE

    def _cannot_look(self, reason: str) -> None:
        self._count(ERROR)
        self._judge = self._new_judge()
        if reason != self._trouble:  # said once, not at every look
            logger.warning("resource_watcher: %s cannot be looked after: %s", self.watcher, reason)
        self._trouble = reason

    def _count(self, bucket: str) -> None:
        self.statsd.increment(f"_resource_watcher.{self.watcher}.{bucket}")
