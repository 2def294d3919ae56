"""Ends workers that have fallen silent: alive for the system, but stuck.

    [plugin:watchdog]
    use = circus.plugins.watchdog.WatchDog
    watchers_regex = ^worker
    loop_rate = 10
    max_count = 3

Every worker of these watchers sends heartbeats to udp `ip`:`port`: datagrams `PID;TIMESTAMP`, at least one each
`loop_rate` seconds. One that was not heard of for `loop_rate` x `max_count` seconds is ended with the `kill` command,
and circusd starts another in its place. A worker has that long from its birth to its first heartbeat too, so watchers
whose programs send none must not match. One that was asked to end already, say by a graceful reload, is left to
circusd.

Time counts from when a datagram arrives, not from what it says: the clocks need not agree. Anybody on the machine may
send one, so a heartbeat keeps a worker alive but can never end one.
"""

from __future__ import annotations

import logging
import re
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any

from circus.common.names import ACTIVE, KILL, REAP, SPAWN, is_own_watcher, res_name
from circus.options.kinds import PORT, SIGNAL, TEXT
from circus.options.option import Spec
from circus.plugins.base import CircusPlugin
from circus.plugins.options import NUMBER, POSITIVE, count, plugin_option, read_options, text_kind

logger = logging.getLogger("circus")

# Heartbeats read in a row; then events and timers have a turn.
HEARTBEATS_PER_PASS = 1000

LONGEST_HEARTBEAT = 4096  # bytes; what is longer is cut

# Asked for; the kernel may grant less. Its usual one holds some 270 heartbeats.
BUFFER_SIZE = 4 * 1024 * 1024


class Pulse:
    """When a process was heard of, in monotonic seconds, and whose it is."""

    __slots__ = ("heard_at", "is_ending", "watcher")

    def __init__(self, watcher: str, heard_at: float) -> None:
        self.watcher = watcher
        self.heard_at = heard_at
        self.is_ending = False

    def __repr__(self) -> str:
        return f"<Pulse {self.watcher} {self.heard_at}>"


class Pulses:
    """The processes followed, and those silent for more than `interval` x `max_count` seconds. Pure: time is told."""

    def __init__(self, interval: float, max_count: int, now: float) -> None:
        self.by_pid: dict[int, Pulse] = {}
        self._interval = interval
        self._patience = interval * max_count
        self._judged_at = now

    def born(self, watcher: str, pid: int, now: float) -> None:
        self.by_pid[pid] = Pulse(watcher, now)

    def ending(self, pid: int) -> None:
        """It was asked to end. From now on circusd waits for it, as long as its graceful timeout allows."""
        if pid in self.by_pid:
            self.by_pid[pid].is_ending = True

    def gone(self, pid: int) -> None:
        self.by_pid.pop(pid, None)

    def beat(self, pid: int, now: float) -> bool:
        """Whether the process is one of ours."""
        pulse = self.by_pid.get(pid)
        if pulse is not None:
            pulse.heard_at = now
        return pulse is not None

    def follow(self, living: Mapping[str, Iterable[int]], now: float) -> None:
        """Exactly these processes of these watchers, from now on if they are new."""
        known = self.by_pid
        self.by_pid = {}
        for watcher, pids in living.items():
            for pid in pids:
                pulse = self.by_pid[pid] = known.get(pid) or Pulse(watcher, now)
                pulse.watcher = watcher  # an event knows only the res name

    def silent(self, now: float) -> list[tuple[str, int]]:
        """Watcher and pid of those that have been silent for too long; for each of them time begins anew.

        To be asked every `interval` seconds. What could not be heard is no silence: the plugin may have been
        suspended, or have waited long for a busy circusd, while the kernel threw heartbeats away.
        """
        deaf = max(0.0, now - self._judged_at - self._interval)
        self._judged_at = now
        found = []
        for pid, pulse in self.by_pid.items():
            pulse.heard_at = min(now, pulse.heard_at + deaf)
            if now - pulse.heard_at > self._patience and not pulse.is_ending:
                pulse.heard_at = now
                found.append((pulse.watcher, pid))
        return found


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)  # as names of watchers are compared everywhere


def _heartbeat(text: str) -> re.Pattern[str]:
    pattern = re.compile(text)
    if "pid" not in pattern.groupindex:
        raise ValueError("it needs a group (?P<pid>...)")
    return pattern


def _at_least_one(text: str) -> int:
    value = count(text)
    if not value:
        raise ValueError("it must be at least 1")
    return value


class WatchDogOptions(Spec):
    """Options of WatchDog:"""

    __slots__ = ()

    loop_rate = plugin_option(POSITIVE, 60.0, "time between two looks, and between two heartbeats at most", unit="s")
    max_count = plugin_option(text_kind("integer", _at_least_one), 3, "how many heartbeats may fail to come")
    watchers_regex = plugin_option(text_kind("pattern", _pattern), _pattern(".*"), "watchers that send heartbeats")
    msg_regex = plugin_option(
        text_kind("pattern", _heartbeat),
        _heartbeat("^(?P<pid>.*);(?P<timestamp>.*)$"),
        "what a heartbeat looks like, with a group `pid`",
    )
    ip = plugin_option(TEXT, "127.0.0.1", "address to listen on")
    port = plugin_option(PORT, 1664, "port to listen on; 0: any free one")
    watchers_stop_signal = plugin_option(SIGNAL, None, "signal that ends a silent worker; else that of its watcher")
    watchers_graceful_timeout = plugin_option(
        NUMBER, None, "time it has to end before SIGKILL; else that of its watcher", unit="s"
    )


class WatchDog(CircusPlugin):
    """Kills the processes of matching watchers that send no heartbeats."""

    name = "watchdog"
    option_table = WatchDogOptions

    def __init__(self, *args: Any, **config: Any) -> None:
        super().__init__(*args, **config)
        options = read_options(self, WatchDogOptions)
        self.loop_rate = options.loop_rate
        self.max_count = options.max_count
        self.watchers_regex = options.watchers_regex
        self.msg_regex = options.msg_regex
        self.watchdog_ip = options.ip
        self.watchdog_port = options.port
        self.watchers_stop_signal = options.watchers_stop_signal
        self.watchers_graceful_timeout = options.watchers_graceful_timeout
        self.pulses = Pulses(self.loop_rate, self.max_count, time.monotonic())
        self._socket: socket.socket | None = None
        self._is_refused = False

    # ---- life ----------------------------------------------------------------------------------------------------

    def handle_init(self) -> None:
        self.every(self.loop_rate, self.look_after)
        self._is_listening()
        self.pulses.follow(self._living(), time.monotonic())

    def handle_recv(self, data: list[bytes]) -> None:
        watcher, event, message = self.split_data(data)
        if event not in (SPAWN, KILL, REAP):
            return
        pid: int = self.load_message(message)["process_pid"]
        if event == REAP:
            self.pulses.gone(pid)
        elif event == KILL:
            self.pulses.ending(pid)
        elif self.is_followed(watcher):
            self.pulses.born(watcher, pid, time.monotonic())

    def handle_stop(self) -> None:
        if self._socket is not None:
            self.loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._socket = None

    # ---- heartbeats ----------------------------------------------------------------------------------------------

    def _is_listening(self) -> bool:
        """Opens the port if it is not; what hinders it is logged once."""
        if self._socket is None:
            try:
                self._socket = _open(self.watchdog_ip, self.watchdog_port)
            except OSError as exc:
                if not self._is_refused:
                    where = f"udp {self.watchdog_ip}:{self.watchdog_port}"
                    logger.error("watchdog: no heartbeats can be heard at %s, so no process is killed: %s", where, exc)
                self._is_refused = True
                return False
            self._is_refused = False
            self.loop.add_reader(self._socket.fileno(), self._hear)
            self.pulses = Pulses(self.loop_rate, self.max_count, time.monotonic())  # silence begins now
        return True

    def _hear(self) -> None:
        assert self._socket is not None
        for _ in range(HEARTBEATS_PER_PASS):
            try:
                datagram = self._socket.recv(LONGEST_HEARTBEAT)
            except BlockingIOError:
                return
            pid = pid_in(datagram, self.msg_regex)
            if pid is None or not self.pulses.beat(pid, time.monotonic()):
                logger.debug("watchdog: a heartbeat of no process that is followed: %r", datagram[:100])

    # ---- silence -------------------------------------------------------------------------------------------------

    def look_after(self) -> None:
        """Kill those that have been silent. The watcher is asked for again just before: an event may have been lost."""
        if not self._is_listening():
            return
        self.pulses.follow(self._living(), time.monotonic())
        self._hear()  # what came while circusd was asked counts
        for watcher, pid in self.pulses.silent(time.monotonic()):
            logger.warning("watchdog: %s: process %d has been silent for too long and is killed", watcher, pid)
            self.cast("kill", name=watcher, pid=pid, **self._manner())

    def _manner(self) -> dict[str, Any]:
        manner = {"signum": self.watchers_stop_signal, "graceful_timeout": self.watchers_graceful_timeout}
        return {key: value for key, value in manner.items() if value is not None}

    def _living(self) -> dict[str, list[int]]:
        """Processes of the watchers that are followed, as circusd has them right now."""
        statuses: dict[str, str] = self.call("status").get("statuses", {})
        active = [name for name, status in statuses.items() if status == ACTIVE and self.is_followed(name)]
        return {name: self.call("list", name=name).get("pids", []) for name in active}  # none if it was just removed

    def is_followed(self, name: str) -> bool:
        """By name or res name, the only one known to events. Circus' own programs only if the option is their name."""
        forms = (name.lower(), res_name(name))
        if is_own_watcher(name):
            return _plain(self.watchers_regex) in forms
        return any(self.watchers_regex.match(form) for form in forms)


def pid_in(datagram: bytes, form: re.Pattern[str]) -> int | None:
    """The process id in a heartbeat; None if it is none."""
    match = form.match(datagram.decode(errors="replace").strip())
    try:
        return int(match["pid"]) if match else None
    except (ValueError, TypeError):  # no number, or the group took no part
        return None


def _open(ip: str, port: int) -> socket.socket:
    """A bound UDP socket that never blocks. OSError if the address is not ours or taken."""
    opened = socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        opened.setblocking(False)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_SIZE)
        opened.bind((ip, port))
    except BaseException:
        opened.close()
        raise
    return opened


def _plain(pattern: re.Pattern[str]) -> str:
    """The text a pattern without any freedom matches: `^plugin:web$` is `plugin:web`."""
    return pattern.pattern.removeprefix("^").removesuffix("$").replace("\\", "").lower()
