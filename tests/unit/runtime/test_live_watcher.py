"""What a watcher holds of the system: made in two steps, of which only the first can fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from circus.machine.arbiter import Arbiter as Decided
from circus.options.settings import watcher_spec
from circus.runtime.live_watcher import LiveWatcher, discard


class Stream:
    """Counts how often it is made and closed."""

    made: list[Stream] = []

    def __init__(self, **options: object) -> None:
        self.is_closed = False
        Stream.made.append(self)

    def __call__(self, data: object) -> None:
        pass

    def close(self) -> None:
        self.is_closed = True


class Pump:
    def __init__(self) -> None:
        self.swapped: list[tuple[str, object]] = []

    def start(self) -> None:
        pass

    def close(self, done: Callable[[], object]) -> None:
        done()

    def swap(self, name: str, stream: object) -> None:
        self.swapped.append((name, stream))


@pytest.fixture(autouse=True)
def streams():
    Stream.made = []
    return Stream.made


CLASS = f"{__name__}.Stream"


def yes(**_):
    return True


def live(**options):
    watcher = LiveWatcher(watcher_spec("web", "true", **options))
    watcher.build()
    return watcher


def test_watcher_has_what_its_spec_names(streams):
    watcher = live(stdout_stream={"class": CLASS}, hooks={"before_start": yes}, env={"A": "1"})
    assert (watcher.has_stdout, watcher.has_stderr) == (True, False)
    assert watcher.hooks["before_start"].function is yes
    assert watcher.env == {"A": "1"}
    assert streams == [watcher.streams["stdout"]]


def test_change_makes_only_what_differs(streams):
    watcher = live(stdout_stream={"class": CLASS}, hooks={"before_start": yes}, env={"A": "1"})
    hook = watcher.hooks["before_start"]
    watcher.env["SET_BY_A_HOOK"] = "kept"
    prepared = watcher.prepare(watcher.spec.replace(numprocesses=3))
    assert len(streams) == 1
    watcher.take(prepared)
    assert watcher.spec.numprocesses == 3
    assert watcher.hooks["before_start"] is hook
    assert watcher.env["SET_BY_A_HOOK"] == "kept"


def test_prepared_change_that_is_not_taken_changes_nothing_and_closes_what_it_opened(streams):
    watcher = live()
    spec = watcher.spec.replace(stdout_stream={"class": CLASS})
    prepared = watcher.prepare(spec)
    assert not watcher.has_stdout
    discard(prepared)
    assert [stream.is_closed for stream in streams] == [True]


def test_stream_that_cannot_be_made_closes_the_one_before_it(streams):
    watcher = live()
    spec = watcher.spec.replace(stdout_stream={"class": CLASS}, stderr_stream={"class": "no.such.Stream"})
    with pytest.raises(ImportError):
        watcher.prepare(spec)
    assert [stream.is_closed for stream in streams] == [True]
    assert not watcher.has_stdout


def test_stream_that_changes_while_output_is_carried_is_swapped(streams):
    watcher = live(stdout_stream={"class": CLASS})
    watcher.pump = pump = Pump()
    watcher.take(watcher.prepare(watcher.spec.replace(stdout_stream={"class": CLASS, "name": "other"})))
    assert pump.swapped == [("stdout", streams[1])]


def test_stream_that_changes_before_anything_was_written_to_it_is_closed(streams):
    watcher = live(stdout_stream={"class": CLASS})
    watcher.take(watcher.prepare(watcher.spec.replace(stdout_stream={"class": CLASS, "name": "other"})))
    assert [stream.is_closed for stream in streams] == [True, False]
    watcher.retire()
    assert [stream.is_closed for stream in streams] == [True, True]


def test_stream_that_was_given_to_a_pump_is_closed_by_it_alone(streams):
    watcher = live(stdout_stream={"class": CLASS})
    watcher.open_streams(lambda name, given: Pump())
    watcher.close_streams()
    watcher.take(watcher.prepare(watcher.spec.replace(stdout_stream={})))
    watcher.retire()
    assert [stream.is_closed for stream in streams] == [False]


def test_stream_that_cannot_be_closed_is_logged_and_the_change_is_taken(streams, caplog):
    watcher = live(stdout_stream={"class": CLASS})
    streams[0].close = lambda: 1 / 0
    watcher.take(watcher.prepare(watcher.spec.replace(stdout_stream={})))
    assert not watcher.has_stdout
    assert "ZeroDivisionError" in caplog.text


def test_watcher_that_cannot_be_built_says_why_until_it_can(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    watcher = LiveWatcher(watcher_spec("web", "true", hooks={"before_start": "made_later.hook"}))
    watcher.try_to_build()
    decided = Decided(lambda: 0.5)
    watcher.belong(decided.add(watcher.spec))
    assert "made_later" in watcher.obstacle
    assert watcher.decided.obstacle == watcher.obstacle
    (tmp_path / "made_later.py").write_text("def hook(**_):\n    return True\n")
    watcher.try_to_build()
    assert (watcher.obstacle, watcher.decided.obstacle, watcher.is_built) == ("", "", True)


def test_file_that_cannot_be_opened_is_said_without_the_number_of_the_error(tmp_path):
    path = tmp_path / "missing" / "log"
    watcher = LiveWatcher(watcher_spec("web", "true", stdout_stream={"class": "FileStream", "filename": str(path)}))
    watcher.try_to_build()
    assert watcher.obstacle == f"No such file or directory: {path}"


def test_other_settings_may_be_what_makes_a_watcher_possible():
    watcher = LiveWatcher(watcher_spec("web", "true", hooks={"before_start": "no.such.hook"}))
    watcher.try_to_build()
    watcher.take(watcher.prepare(watcher.spec.replace(hooks={"before_start": (yes, False)})))
    assert (watcher.obstacle, watcher.is_built) == ("", True)


def test_watcher_outside_an_arbiter_is_stopped_and_has_no_processes():
    watcher = live()
    assert (watcher.status, watcher.live(), watcher.find(1), watcher.is_admitted) == ("stopped", [], None, False)
    with pytest.raises(AssertionError, match="belongs to no arbiter"):
        _ = watcher.key
