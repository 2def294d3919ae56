"""Random histories: requests, deaths, hooks and time in any order must never break what always holds.

`Sim` raises on every senseless action and checks the invariants at the end of each instant. Here remains what can
only be said at the end: after all is released each watcher is as last requested, and after a shutdown nothing is left.
"""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, precondition, rule

from circus.common import names
from circus.machine.phase import Phase
from circus.machine.watcher import Watcher
from tests.sim import KILL, NEVER, TERM, USR1, Hook, Program, Sim

HOOKS = [hook for hook in names.HOOKS if hook != names.EXTENDED_STATS]

# Most watchers are ordinary in most respects; what is odd about one is drawn from here.
ODD = {
    "warmup_delay": [0.5, 3.0],
    "respawn": [False],
    "singleton": [True],
    "on_demand": [True, True],
    "idle_timeout": [4.0],
    "autostart": [False],
    "send_hup": [True],
    "stop_children": [True],
    "stop_tree": [False],
    "graceful_timeout": [0.0, 1.0],
    "max_retry": [-1, 0, 1, 2],
    "max_age": [3, 20],
    "max_age_variance": [0, 5],
    "priority": [-1, 1],
    "flapping_active": [False],
    "flapping_attempts": [1, 3],
    "flapping_max_retry": [-1, 0, 1],
    "flapping_backoff": [1],
}

OPTIONS = st.builds(
    lambda number, odd, hooks: {**odd, "numprocesses": number, "hooks": dict.fromkeys(sorted(hooks), "x.y")},
    st.sampled_from([0, 1, 2, 3, 3, 4, 12]),
    st.lists(st.sampled_from([(key, value) for key, values in ODD.items() for value in values])).map(dict),
    st.one_of(st.just(()), st.sets(st.sampled_from(HOOKS), min_size=1, max_size=4)),
)

PROGRAMS = st.builds(
    Program,
    lives=st.sampled_from([NEVER, NEVER, 0.0, 0.5, 5.0]),
    code=st.integers(0, 1),
    ignores=st.sampled_from([(USR1,), (USR1, TERM)]),
    takes=st.sampled_from([0.0, 0.0, 0.3, 20.0]),
    stuck=st.sampled_from([False] * 9 + [True]),
    foreign=st.sampled_from([False] * 9 + [True]),
    fails=st.sampled_from(["", "", "", "no such file"]),
    forks_in=st.sampled_from([0.0, 0.0, 0.2]),
    serves=st.sampled_from([True, True, False]),
    leaves=st.sampled_from([0, 0, 1, 2]),
    below=st.sampled_from(["tame", "stubborn", "growing", "stuck", "foreign"]),
)

HOOK_SCRIPTS = st.builds(Hook, ok=st.booleans(), takes=st.sampled_from([0.0, 0.0, 0.5, NEVER]))

BAD_PROGRAMS = st.sampled_from([Program(lives=0.0, code=1), Program(lives=0.3, code=1), Program(fails="no such file")])

TAME = Program()


class Walk(RuleBasedStateMachine):
    """Each rule is one request or fact; the machine settles after every one, or after several at once."""

    watchers = Bundle("watchers")

    @initialize(
        target=watchers,
        warmup_delay=st.sampled_from([0.0, 0.0, 1.0]),
        seed=st.integers(0, 9),
        releases=st.booleans(),
        options=OPTIONS,
    )
    def begin(self, warmup_delay: float, seed: int, releases: bool, options: dict[str, object]) -> object:
        self.sim = Sim(warmup_delay, random.Random(seed).random, early_exit_delay=0.1 * (seed % 2))
        self.releases = releases
        self.requested: dict[int, bool] = {}
        return self.add(options, "a", True)

    @rule(target=watchers, options=OPTIONS, name=st.sampled_from("abc"), starts=st.booleans())
    def add(self, options: dict[str, object], name: str, starts: bool) -> object:
        if any(w.name == name for w in self.sim.arbiter.watchers.values()):
            return multiple()  # names are unique
        watcher = self.sim.add(name, announce=True, **options)
        self.requested[watcher.key] = starts
        if starts:
            self.sim.add_and_start(watcher)
        self.sim.settle()
        return watcher

    # ---- requests ------------------------------------------------------------------------------------------------

    @rule(watcher=watchers)
    def start(self, watcher: Watcher) -> None:
        self.requested[watcher.key] = True
        self.sim.start(watcher)

    @rule(watcher=watchers)
    def stop(self, watcher: Watcher) -> None:
        self.requested[watcher.key] = False
        self.sim.stop(watcher)

    @rule(watcher=watchers)
    def restart(self, watcher: Watcher) -> None:
        self.requested[watcher.key] = True
        self.sim.restart(watcher)

    @rule(watcher=watchers, sequential=st.booleans())
    def reload(self, watcher: Watcher, sequential: bool) -> None:
        self.requested[watcher.key] = True
        self.sim.reload(watcher, sequential=sequential)

    @rule(watcher=watchers, program=BAD_PROGRAMS, sequential=st.booleans())
    def reload_to_something_bad(self, watcher: Watcher, program: Program, sequential: bool) -> None:
        self.sim.program(watcher.name, program)
        self.reload(watcher, sequential)

    @rule(watcher=watchers, hook=st.sampled_from([names.BEFORE_SPAWN, names.AFTER_SPAWN]), sequential=st.booleans())
    def reload_with_a_veto(self, watcher: Watcher, hook: str, sequential: bool) -> None:
        self.sim.hook(watcher.name, hook, Hook(ok=False), Hook())
        self.sim.change(watcher, hooks={**watcher.spec.hooks, hook: "x.y"})
        self.reload(watcher, sequential)

    @rule(verb=st.sampled_from(["start", "stop", "restart", "reload"]))
    def request_of_all(self, verb: str) -> None:
        watchers = list(self.sim.arbiter.watchers.values())
        for watcher in watchers if verb != "reload" else ():  # a reload of all starts nothing and stops nothing
            if verb in ("stop", "restart") or watcher.spec.autostart:
                self.requested[watcher.key] = verb != "stop" and watcher.spec.autostart
        getattr(self.sim, verb)(*watchers, single=False)

    @rule()
    def reload_of_all_without_grace(self) -> None:
        self.sim.reload(*self.sim.arbiter.watchers.values(), single=False, graceful=False)

    @rule(
        watcher=watchers,
        verbs=st.lists(st.sampled_from(["start", "stop", "restart", "reload", "kill", "die"]), min_size=2, max_size=5),
    )
    def several_at_once(self, watcher: Watcher, verbs: list[str]) -> None:
        with self.sim.at_once():
            for verb in verbs:
                getattr(self.sim, verb)(watcher)
                if verb not in ("kill", "die"):
                    self.requested[watcher.key] = verb != "stop"

    @rule(watcher=watchers, options=OPTIONS, replace=st.booleans())
    def change(self, watcher: Watcher, options: dict[str, object], replace: bool) -> None:
        self.sim.change(watcher, replace, updates=len(options), **options)

    @rule(watcher=consumes(watchers), nostop=st.booleans())
    def remove(self, watcher: Watcher, nostop: bool) -> None:
        del self.requested[watcher.key]
        self.sim.remove(watcher, nostop)

    @rule(watcher=watchers, signum=st.sampled_from([None, KILL]), timeout=st.sampled_from([None, 0.0, 2.0]))
    def kill(self, watcher: Watcher, signum: int | None, timeout: float | None) -> None:
        self.sim.kill(watcher, signum=signum, timeout=timeout)

    @rule(watcher=watchers, signum=st.sampled_from([USR1, TERM, KILL]), recursive=st.booleans(), nth=st.integers(0, 3))
    def signal(self, watcher: Watcher, signum: int, recursive: bool, nth: int) -> None:
        wids = self.sim.wids(watcher)
        if wids:
            self.sim.signal(watcher, wids[nth % len(wids)], signum, recursive)

    # ---- facts -------------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([0.01, 0.2, 1.0, 7.0, 40.0]))
    def time_passes(self, seconds: float) -> None:
        self.sim.advance(seconds)

    @rule(watcher=watchers, nth=st.integers(0, 3))
    def death(self, watcher: Watcher, nth: int) -> None:
        wids = self.sim.wids(watcher)
        if wids:
            self.sim.die(watcher, wids[nth % len(wids)])

    @rule(watcher=watchers)
    def all_die(self, watcher: Watcher) -> None:
        self.sim.die(watcher)

    @rule(watcher=watchers)
    def connection(self, watcher: Watcher) -> None:
        self.sim.connect(watcher)

    @rule(watcher=watchers, used=st.sampled_from([0.0, 0.1, 5.0]), connected=st.sampled_from([None, 0.0, 3.0]))
    def figures_change(self, watcher: Watcher, used: float, connected: float | None) -> None:
        self.sim.used[watcher.key] = used
        if connected is not None:
            self.sim.connected[watcher.key] = connected
        else:
            self.sim.connected.pop(watcher.key, None)

    @rule(name=st.sampled_from("abc"), programs=st.lists(PROGRAMS, min_size=1, max_size=3))
    def program_changes(self, name: str, programs: list[Program]) -> None:
        self.sim.program(name, *programs)

    @rule(name=st.sampled_from("abc"), hook=st.sampled_from(HOOKS), script=HOOK_SCRIPTS)
    def hook_changes(self, name: str, hook: str, script: Hook) -> None:
        self.sim.hook(name, hook, script, Hook())

    @rule(delay=st.sampled_from([0.0, 0.3, NEVER]))
    def streams_change(self, delay: float) -> None:
        self.sim.stream_delay = delay

    @precondition(lambda self: self.sim.hanging_hooks())
    @rule(ok=st.booleans())
    def a_hook_returns_at_last(self, ok: bool) -> None:
        self.sim.answer(self.sim.hanging_hooks()[0], ok)

    # ---- the end -----------------------------------------------------------------------------------------------

    def teardown(self) -> None:
        if not hasattr(self, "sim") or self.sim.is_broken:
            return
        if self.releases:
            self.release()
            self.sim.rest(700.0)
            assert not self.sim.waiting, "requests that are never answered"
            for key, requested in self.requested.items():
                self.check_end(self.sim.arbiter.watchers[key], requested)
        self.check_shutdown()

    def release(self) -> None:
        """From here on everybody behaves, and what hung goes on."""
        self.sim.stream_delay = 0.0
        for watcher in self.sim.arbiter.watchers.values():
            self.sim.change(watcher, max_age=0, idle_timeout=0.0)
        for name in "abc":
            self.sim.program(name, TAME)
            for hook in HOOKS:
                self.sim.hook(name, hook, Hook())
        while hanging := self.sim.hanging_hooks():
            self.sim.answer(hanging[0], True)
        self.sim.unstick()

    def check_end(self, watcher: Watcher, requested: bool) -> None:
        if not requested:
            assert watcher.is_stopped, f"{watcher.name} is {watcher.phase} although it was last stopped"
            return
        if watcher.phase is Phase.ACTIVE:
            assert watcher.wanted
            assert not watcher.pool.failures
            if watcher.spec.on_demand:
                assert self.sim.alive(watcher), f"{watcher.name} is neither there nor does it sleep"
            elif watcher.spec.respawn and not watcher.trouble:
                assert len(self.sim.alive(watcher)) == watcher.pool.target
            return
        if watcher.is_sleeping:
            assert not (self.sim.waits(watcher) and watcher.pool.target), f"{watcher.name} sleeps through a connection"
            return
        gave_up = watcher.trouble or not watcher.spec.respawn or not watcher.pool.target
        assert watcher.is_stopped and gave_up, f"{watcher.name} is {watcher.phase} although it was last started"

    def check_shutdown(self) -> None:
        self.sim.quit()
        self.sim.advance(4.0)
        self.sim.quit()
        self.sim.rest(60.0)
        assert self.sim.exit is not None, "the shutdown hangs"
        assert self.sim.next_at() == NEVER, "something still ticks after the shutdown"


TestRandomWalks = Walk.TestCase

RUNNING = st.tuples(st.integers(-1, 1), st.sampled_from([1, 3]), PROGRAMS, HOOK_SCRIPTS)


@given(watchers=st.lists(RUNNING, min_size=2, max_size=6), seconds=st.sampled_from([0.0, 0.1, 1.0, 9.0]))
def test_shutdown_is_in_order_and_comes_to_an_end_whatever_runs(
    watchers: list[tuple[int, int, Program, Hook]], seconds: float
) -> None:
    sim = Sim()
    for number, (priority, processes, program, script) in enumerate(watchers):
        name = f"w{number}"
        sim.program(name, program)
        sim.hook(name, "before_stop", script)
        hooks = {"before_stop": "x.y"}
        sim.start(sim.add(name, priority=priority, numprocesses=processes, graceful_timeout=2.0, hooks=hooks))
    sim.advance(seconds)
    sim.quit()
    sim.advance(60.0)
    sim.unstick()
    sim.rest()
    assert sim.exit is not None
