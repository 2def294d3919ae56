"""Answers with its pid on an inherited socket: each connection, or each datagram.

python served.py FD [NUMBER [SECONDS]]; ends well after so many answers, and keeps each connection open for so long.
"""

import os
import socket
import sys
import time

server = socket.socket(fileno=int(sys.argv[1]))
server.setblocking(True)
left = int(sys.argv[2]) if len(sys.argv) > 2 else -1
answer = b"%d" % os.getpid()
while left:
    left -= 1
    if server.type == socket.SOCK_DGRAM:
        _, sender = server.recvfrom(100)
        server.sendto(answer, sender)
        continue
    connection, _ = server.accept()
    with connection:
        connection.sendall(answer)
        time.sleep(float(sys.argv[3]) if len(sys.argv) > 3 else 0)
