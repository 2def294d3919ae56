"""Runs a WSGI application under waitress so that no request is lost when it is asked to end.

    [watcher:web]
    cmd = python serve_waitress.py app:application $(circus.sockets.web)

waitress by itself dies of SIGTERM at once. Here it then accepts nothing more, answers what it has, and tells the
clients of kept connections that these end.
"""

import importlib
import os
import signal
import socket
import sys
import time

from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import WSGITask

LINGER = float(os.environ.get("LINGER", "2"))
"""How long a connection may stay that says nothing, in seconds."""


class Draining:
    """From SIGTERM on."""

    def __init__(self, server):
        self._server = server
        self.until = None

    def begin(self, *_):
        self._server.accepting = False
        self.until = time.monotonic() + LINGER

    @property
    def is_over(self):
        channels = self._server.active_channels.values()
        if self.until is None:
            return False
        if time.monotonic() < self.until:
            return not channels
        return not any(channel.requests or channel.total_outbufs_len for channel in channels)


class Task(WSGITask):
    def build_response_header(self):
        if draining.until is not None:
            self.set_close_on_finish()
        return super().build_response_header()


def load(name):
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


if __name__ == "__main__":
    HTTPChannel.task_class = Task
    server = create_server(load(sys.argv[1]), sockets=[socket.socket(fileno=int(sys.argv[2]))])
    draining = Draining(server)
    signal.signal(signal.SIGTERM, draining.begin)
    while not draining.is_over:
        server.asyncore.loop(timeout=0.1, map=server._map, count=1)
