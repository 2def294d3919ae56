"""A zmq socket in a loop: what the loop is told, and how much is taken in one pass."""

from __future__ import annotations

from collections import deque
from typing import Any

import zmq

from circus.wire.polled import MESSAGES_PER_PASS, PolledSocket, taking


class FakeSocket:
    def __init__(self, messages: int = 0) -> None:
        self.messages = deque([b"%d" % number] for number in range(messages))
        self.fd = 7

    def fileno(self) -> int:
        return self.fd

    def recv_multipart(self, flags: int) -> list[bytes]:
        assert flags == zmq.NOBLOCK
        if not self.messages:
            raise zmq.Again
        return self.messages.popleft()


class FakeLoop:
    def __init__(self) -> None:
        self.turns: list[Any] = []
        self.readers: dict[int, Any] = {}

    def add_turn(self, turn: Any) -> None:
        self.turns.append(turn)

    def remove_turn(self, turn: Any) -> None:
        self.turns.remove(turn)

    def add_reader(self, fd: int, call: Any) -> None:
        self.readers[fd] = call

    def remove_reader(self, fd: int) -> None:
        del self.readers[fd]


def test_every_message_is_handed_over_and_then_the_loop_may_sleep() -> None:
    taken: list[list[bytes]] = []
    look = taking(FakeSocket(3), taken.append)  # type: ignore[arg-type]  # as much of a socket as is used
    assert look(5.0) is None
    assert taken == [[b"0"], [b"1"], [b"2"]]


def test_a_flood_leaves_others_a_turn_and_is_gone_on_with_at_once() -> None:
    taken: list[list[bytes]] = []
    look = taking(FakeSocket(MESSAGES_PER_PASS + 1), taken.append)  # type: ignore[arg-type]  # as above
    assert look(5.0) == 5.0
    assert len(taken) == MESSAGES_PER_PASS
    assert look(6.0) is None
    assert len(taken) == MESSAGES_PER_PASS + 1


def test_loop_forgets_a_socket_that_was_closed_before() -> None:
    loop, socket = FakeLoop(), FakeSocket()
    look = taking(socket, print)  # type: ignore[arg-type]  # as above
    polled = PolledSocket(loop, socket, look)  # type: ignore[arg-type]  # as above
    assert loop.turns == [look]
    loop.readers[7]()  # wakes the loop, and that is all
    socket.fd = -1
    polled.close()
    assert loop.turns == [] and loop.readers == {}
