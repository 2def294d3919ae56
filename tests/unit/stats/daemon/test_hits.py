"""Which sockets circusd-stats looks at, and what it counts."""

from __future__ import annotations

from typing import Any

from circus.stats.daemon.hits import Hits

WEB = {"fd": 7, "name": "web", "backlog": 5, "host": "127.0.0.1", "port": 80}
SIX = {"fd": 8, "name": "six", "backlog": 5, "host": "::1", "port": 80}
API = {"fd": 9, "name": "api", "backlog": 5, "path": "/run/api.sock"}


def hits(*told: dict[str, Any], here: dict[int, dict[str, Any]] | None = None) -> Hits:
    """`here`: where descriptors are bound in this process; else just as told."""
    made = Hits()
    made.listed(told, ({each["fd"]: each for each in told} if here is None else here).get)
    return made


def test_sockets_are_known_by_descriptor_with_their_address() -> None:
    assert hits(WEB, SIX, API).addresses == {7: "127.0.0.1:80", 8: "[::1]:80", 9: "/run/api.sock"}
    assert hits().addresses == {}


def test_a_socket_that_was_opened_after_we_were_started_is_left_out() -> None:
    assert hits(WEB, API, here={9: {"path": "/run/api.sock"}}).addresses == {9: "/run/api.sock"}


def test_a_number_that_is_something_else_here_is_left_out() -> None:
    here = {7: {"host": "127.0.0.1", "port": 5557}, 8: {"path": "/run/six"}, 9: {"path": "/run/old.sock"}}
    assert hits(WEB, SIX, API, here=here).addresses == {}


def test_hits_are_counted_from_one_taking_to_the_next() -> None:
    made = hits(WEB, API)
    for ready in ([7], [7, 9], [], [7]):
        made.looked(ready)
    assert made.take() == {7: 3, 9: 1}
    assert made.take() == {7: 0, 9: 0}


def test_what_is_unknown_is_not_counted() -> None:
    made = hits(WEB)
    made.looked([7, 55])
    assert made.take() == {7: 1}


def test_another_answer_keeps_the_hits_of_those_that_stay() -> None:
    made = hits(WEB, API)
    made.looked([7, 9])
    made.listed([WEB, SIX], {7: WEB, 8: SIX}.get)
    made.looked([9])
    assert made.take() == {7: 1, 8: 0}
