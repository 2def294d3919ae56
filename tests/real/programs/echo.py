"""Answers what comes to the socket on standard input, with its process id before it: the first line of each
connection, or every datagram. As an inetd service with `wait` it stays, and takes all that comes. Asked to end, it
first answers what it has taken.
"""

from __future__ import annotations

import os
import select
import signal
import socket


def answer(sock: socket.socket) -> None:
    if sock.type == socket.SOCK_DGRAM:
        data, sender = sock.recvfrom(65536)
        sock.sendto(b"%d %s" % (os.getpid(), data), sender)
        return
    connection, _ = sock.accept()
    with connection, connection.makefile("rb") as lines:
        connection.sendall(b"%d %s" % (os.getpid(), lines.readline()))


if __name__ == "__main__":
    sock = socket.socket(fileno=0)
    sock.setblocking(False)
    wakes, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGTERM, lambda *_: None)
    while wakes not in select.select([sock, wakes], [], [])[0]:
        try:
            answer(sock)
        except BlockingIOError:  # another process was faster
            pass
