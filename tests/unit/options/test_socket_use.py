"""Which sockets a watcher is given follows from its options."""

from __future__ import annotations

from circus.options.settings import watcher_spec
from circus.options.socket_use import NOTHING, missing, socket_use

KNOWN = ("web", "api", "admin")


def use(cmd="prog", **options):
    return socket_use(watcher_spec("w", cmd, **options))


def test_nothing_is_given_without_being_asked_for():
    assert use() == NOTHING
    assert use().among(KNOWN) == use().named() == set()


def test_all_of_them():
    assert use(use_sockets=True).among(KNOWN) == set(KNOWN)
    assert use(use_sockets=True).named() == set()


def test_those_that_are_mentioned_in_whatever_spelling():
    assert use("prog $(circus.sockets.Web)", args=["((CIRCUS.SOCKETS.api))"]).named() == {"web", "api"}
    assert use(args="$(circus.sockets.web)").named() == {"web"}
    assert use(env={"A": "1", "FD": "$(circus.sockets.admin)"}).named() == {"admin"}
    assert use("prog $(circus.wid) $(circus.env.sockets.web)").named() == set()


def test_a_port_is_told_and_the_socket_not_given():
    found = use("prog --register $(circus.sockets.Web.port) --fd $(circus.sockets.api)")
    assert (found.told, found.mentioned) == ({"web"}, {"api"})
    assert found.among(KNOWN) == found.named() == {"api"}
    assert found.required() == found.concerned(KNOWN) == {"api", "web"}
    assert missing(use("prog $(circus.sockets.wbe.port)"), KNOWN) == "there is no socket 'wbe'; did you mean web?"


def test_standard_input_and_descriptors_from_three_on():
    found = use(stdin_socket="Admin", listen_fds="Web, api")
    assert (found.stdin, found.listen) == ("admin", ("web", "api"))
    assert found.among(("web", "admin", "other")) == {"web", "admin"}


def test_what_is_missing_is_said_with_the_nearest_name():
    assert missing(use(stdin_socket="web"), KNOWN) == ""
    assert missing(use(stdin_socket="wbe"), KNOWN) == "there is no socket 'wbe'; did you mean web?"
    assert missing(use(stdin_socket="other"), KNOWN) == "there is no socket 'other'; add [socket:other]"
