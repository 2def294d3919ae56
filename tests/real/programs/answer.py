"""Answers each connection to an inherited listening socket with its pid and its words, one after the other.

python answer.py FD [WORD ...]; ends after the connection it is at when it is asked to.
"""

import os
import select
import signal
import socket
import sys

is_asked = False


def end(*_: object) -> None:
    global is_asked
    is_asked = True


signal.signal(signal.SIGTERM, end)
wakes, wakened = os.pipe()
os.set_blocking(wakened, False)
signal.set_wakeup_fd(wakened)
listener = socket.socket(fileno=int(sys.argv[1]))
listener.setblocking(False)
while not is_asked:
    ready, _, _ = select.select([listener, wakes], [], [])
    if listener not in ready:
        continue
    try:
        connection, _ = listener.accept()
    except BlockingIOError:  # another process was faster
        continue
    with connection:
        connection.sendall(f"{os.getpid()} {' '.join(sys.argv[2:])}\n".encode())
