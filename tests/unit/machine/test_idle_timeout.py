"""When a watcher that runs on demand may sleep again."""

from __future__ import annotations

from circus.machine.phase import Phase
from circus.machine.watcher import Watcher
from tests.sim import NEVER, Sim


def awake(sim: Sim, idle_timeout: float = 40.0, **options: object) -> Watcher:
    web = sim.add("web", on_demand=True, idle_timeout=idle_timeout, **options)
    sim.start(web)
    sim.connect(web)
    sim.told()
    return web


def test_idle_for_long_enough_it_goes_a_whole_round_to_sleep() -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(39.0)
    assert sim.told() == ["look web", "listen web", "look web", "look web"]
    sim.advance(1.0)
    assert sim.told() == [
        "look web",
        "hush web",
        "TERM web.1",
        "event web reap 1 (-15)",
        "close web",
        "event web stop",
        "listen web",
    ]
    assert sim.logged("web was idle for 40.0 s")
    assert web.is_sleeping
    sim.advance(100.0)
    sim.connect(web)
    assert web.status == "active"


def test_without_the_option_nobody_looks() -> None:
    sim = Sim()
    awake(sim, idle_timeout=0.0)
    assert sim.next_at() == NEVER


def test_without_on_demand_nobody_looks() -> None:
    sim = Sim()
    sim.start(sim.add("web", idle_timeout=40.0))
    assert sim.next_at() == NEVER


def test_it_is_looked_at_least_once_a_minute() -> None:
    sim = Sim()
    awake(sim, idle_timeout=3600.0)
    sim.advance(600.0)
    assert sim.told().count("look web") == 10


def test_use_of_the_processor_keeps_it_awake() -> None:
    sim = Sim()
    web = awake(sim)
    for used in range(1, 20):
        sim.used[web.key] = used / 10
        sim.advance(10.0)
    assert web.status == "active"
    sim.advance(40.0)
    assert web.is_sleeping


def test_heartbeats_do_not_keep_it_awake() -> None:
    sim = Sim()
    web = awake(sim, numprocesses=2)
    for look in range(1, 4):
        sim.used[web.key] = look * 10.0 * 0.0005 * 2
        sim.advance(10.0)
    sim.advance(10.0)
    assert web.is_sleeping


def test_less_processor_time_than_there_was_means_that_a_process_is_gone_and_keeps_it_awake() -> None:
    sim = Sim()
    web = awake(sim)
    sim.used[web.key] = 5.0
    sim.advance(10.0)
    sim.advance(20.0)
    sim.used[web.key] = 4.0
    sim.advance(30.0)
    assert web.status == "active"
    sim.advance(20.0)
    assert web.is_sleeping


def test_connection_that_is_there_keeps_it_awake() -> None:
    sim = Sim()
    web = awake(sim)
    sim.connected[web.key] = 0.0
    sim.advance(500.0)
    assert web.status == "active"
    del sim.connected[web.key]
    sim.advance(40.0)
    assert web.is_sleeping


def test_connection_that_has_ended_counts_from_then() -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(20.0)
    sim.connected[web.key] = 5.0
    sim.advance(10.0)  # a look at 30: connected at 25
    del sim.connected[web.key]
    sim.advance(39.0)
    assert web.status == "active"
    sim.advance(1.0)
    assert web.is_sleeping


def test_connection_that_had_to_wait_between_two_looks_keeps_it_awake() -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(35.0)
    sim.connect(web)
    sim.advance(35.0)
    assert web.status == "active"
    assert sim.told().count("listen web") == 2
    sim.advance(10.0)
    assert web.is_sleeping


def test_it_is_not_put_to_sleep_while_it_reloads() -> None:
    sim = Sim()
    web = awake(sim, warmup_delay=45.0)
    sim.advance(30.0)
    sim.reload(web)
    sim.advance(11.0)
    assert web.pool.reloading
    sim.rest(200.0)
    assert web.is_sleeping


def test_look_that_is_answered_after_a_stop_means_nothing() -> None:
    sim = Sim()
    web = awake(sim)
    web.looked(sim.now + 1000.0, 0.0, None)
    assert web.phase is Phase.ACTIVE
    sim.stop(web)
    web.looked(sim.now + 1000.0, 0.0, None)
    assert web.is_stopped


def test_connection_that_nobody_listens_for_means_nothing() -> None:
    sim = Sim()
    web = awake(sim)
    web.connection(sim.now)
    sim.advance(40.0)
    assert web.is_sleeping


def test_stop_ends_the_looks() -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(15.0)
    sim.stop(web)
    assert sim.next_at() == NEVER
    assert not sim.listens(web)


def test_option_that_is_set_while_it_runs_counts_from_then() -> None:
    sim = Sim()
    web = awake(sim, idle_timeout=0.0)
    sim.advance(100.0)
    sim.change(web, idle_timeout=40.0)
    sim.advance(5.0)
    sim.change(web, priority=1)
    sim.advance(34.0)
    assert web.status == "active"
    sim.advance(1.0)
    assert web.is_sleeping


def test_option_that_is_taken_back_while_it_runs_ends_the_looks() -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(15.0)
    sim.change(web, idle_timeout=0.0)
    assert sim.next_at() == NEVER
    assert not sim.listens(web)


def test_shorter_timeout_is_not_kept_waiting_by_the_longer_one_before() -> None:
    sim = Sim()
    web = awake(sim, idle_timeout=3600.0)
    sim.advance(70.0)
    sim.change(web, idle_timeout=4.0)
    sim.advance(1.0)
    assert web.is_sleeping


def test_look_with_a_shorter_timeout_than_before_comes_to_its_conclusion() -> None:
    sim = Sim()
    web = awake(sim)
    sim.advance(15.0)
    sim.change(web, idle_timeout=4.0)
    sim.advance(5.0)
    assert web.is_sleeping
