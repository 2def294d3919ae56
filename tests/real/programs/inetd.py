"""Starts a program for each connection to standard input, which becomes its standard input and output: as inetd does
for services with `nowait`.

    inetd.py PROGRAM [WORD ...]
"""

import signal
import socket
import subprocess
import sys

if __name__ == "__main__":
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(fileno=0)
    listener.setblocking(True)
    while True:
        connection, _ = listener.accept()
        with connection:
            subprocess.Popen(sys.argv[1:], stdin=connection, stdout=connection)
