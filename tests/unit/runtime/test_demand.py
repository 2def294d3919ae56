"""Which sockets are watched for which sleeping watchers."""

from __future__ import annotations

import logging

import pytest

from circus.options.settings import watcher_spec

from .simulated import SimulatedSocket, Simulation


@pytest.fixture
def sim() -> Simulation:
    sim = Simulation()
    sim.sockets.update(web=SimulatedSocket(5), admin=SimulatedSocket(6))
    return sim


def uses(*names: str) -> list[str]:
    return [f"$(circus.sockets.{name})" for name in names]


def test_only_sockets_that_are_used_are_watched(sim):
    web = sim.add(on_demand=True, args=uses("web"))
    sim.start(web)
    assert list(sim.loop.readers) == [5]
    sim.connect(6)
    assert web.status == "stopped"
    sim.connect(5)
    assert web.status == "active"
    assert sim.loop.readers == {}


def test_nothing_is_watched_and_nothing_loaded_while_nobody_sleeps(sim):
    sim.start(sim.add(args=uses("web")))
    assert sim.loop.readers == {}
    assert sim.runtime._demand is None


def test_of_several_sockets_any_wakes_it_and_all_are_let_go(sim):
    web = sim.add(on_demand=True, args=uses("web", "admin"))
    sim.start(web)
    assert sorted(sim.loop.readers) == [5, 6]
    sim.connect(6)
    assert web.status == "active"
    assert sim.loop.readers == {}


def test_two_sockets_that_are_ready_in_one_pass_are_no_fault(sim):
    web = sim.add(on_demand=True, args=uses("web", "admin"))
    sim.start(web)
    for call in list(sim.loop.readers.values()):  # the selector had both before the first was let go
        call()
    sim.turn()
    assert web.status == "active"


def test_all_that_sleep_at_a_socket_are_woken_and_no_others(sim):
    one, two = sim.add("one", on_demand=True, args=uses("web")), sim.add("two", on_demand=True, use_sockets=True)
    other, stopped = sim.add("other", on_demand=True, args=uses("admin")), sim.add("stopped", args=uses("web"))
    sim.start(one, two, other)
    sim.connect(5)
    assert [watcher.status for watcher in (one, two, other, stopped)] == ["active", "active", "stopped", "stopped"]
    assert list(sim.loop.readers) == [6]


def test_socket_is_watched_as_long_as_anybody_sleeps_at_it(sim):
    one, two = sim.add("one", on_demand=True, args=uses("web")), sim.add("two", on_demand=True, args=uses("web"))
    sim.start(one, two)
    sim.decided.stop(sim.system.now, 0, [one.key])
    sim.turn()
    assert list(sim.loop.readers) == [5]
    sim.decided.stop(sim.system.now, 0, [two.key])
    sim.turn()
    assert sim.loop.readers == {}


def test_one_that_uses_none_waits_at_all_of_them(sim):
    web = sim.add(on_demand=True)
    sim.start(web)
    assert sorted(sim.loop.readers) == [5, 6]


def test_socket_that_is_open_in_processes_only_is_not_watched(sim):
    sim.sockets["web"].is_open = False
    sim.start(sim.add(on_demand=True, use_sockets=True))
    assert list(sim.loop.readers) == [6]


@pytest.mark.parametrize("options", [{"args": uses("wbe")}, {"args": uses("web", "wbe")}])
def test_one_whose_sockets_are_not_there_starts_at_once_and_says_why_that_fails(sim, caplog, options):
    web = sim.add(on_demand=True, **options)
    sim.start(web)
    sim.turn(60.0)
    assert "there is no socket 'wbe'; did you mean web?" in web.decided.reason(sim.system.now)
    assert "web starts at once: the sockets it is to wait at are not there" in caplog.text
    assert sim.loop.readers == {}


def test_without_any_socket_it_starts_at_once(sim, caplog):
    caplog.set_level(logging.WARNING)
    sim.sockets.clear()
    web = sim.add(on_demand=True, use_sockets=True)
    sim.start(web)
    assert web.status == "active"
    assert "web starts at once" in caplog.text


def test_forgotten_watcher_listens_no_more(sim):
    web = sim.add(on_demand=True, args=uses("web"))
    sim.start(web)
    sim.decided.remove(sim.system.now, 0, web.key, nostop=True)
    sim.turn()
    assert sim.loop.readers == {}
    assert sim.forgotten == [web.key]


def test_sockets_can_be_exchanged_while_watchers_sleep(sim):
    web = sim.add(on_demand=True, args=uses("web"))
    sim.start(web)
    with sim.runtime.sockets_change():
        assert sim.loop.readers == {}
        sim.sockets["web"].is_open = False
        sim.sockets["web"] = SimulatedSocket(9)
    assert list(sim.loop.readers) == [9]
    sim.connect(9)
    assert web.status == "active"


def test_watcher_that_is_given_another_socket_in_that_moment_goes_on_with_that(sim):
    web = sim.add(on_demand=True, args=uses("web"))
    sim.start(web)
    with sim.runtime.sockets_change():
        del sim.sockets["web"]
        web.take(web.prepare(watcher_spec("web", "/bin/true", on_demand=True, args=uses("admin"))))
        sim.decided.change(sim.system.now, 0, web.key, web.spec, False)
    sim.turn()
    assert list(sim.loop.readers) == [6]
    assert web.status == "stopped"


def test_watcher_that_is_removed_together_with_its_socket_is_not_woken(sim, caplog):
    web = sim.add(on_demand=True, args=uses("web"))
    sim.start(web)
    with sim.runtime.sockets_change():
        del sim.sockets["web"]
        sim.decided.remove(sim.system.now, 0, web.key)
    sim.turn()
    assert sim.system.launched == []
    assert "at once" not in caplog.text


def test_exchange_of_sockets_while_nobody_sleeps_is_nobodys_business(sim):
    with sim.runtime.sockets_change():
        assert sim.loop.readers == {}


def test_end_of_the_run_lets_all_sockets_go(sim):
    sim.start(sim.add(on_demand=True, args=uses("web", "admin")))
    sim.runtime.close()
    assert sim.loop.readers == {}
