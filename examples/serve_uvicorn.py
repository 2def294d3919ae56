"""Runs an ASGI application under uvicorn so that no request is lost when it is asked to end.

    [watcher:web]
    cmd = python serve_uvicorn.py app:application $(circus.sockets.web)

uvicorn by itself closes what it has accepted and not yet read. Here, after SIGTERM, it accepts nothing more and goes on
until its clients have gone: what comes on the connections it has is answered, and told that the connection ends.
"""

import asyncio
import os
import sys
import time

import uvicorn

LINGER = float(os.environ.get("LINGER", "2"))
"""How long a connection may stay that says nothing, in seconds."""


class Server(uvicorn.Server):
    async def shutdown(self, sockets=None):
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listener in server.sockets:
                loop.remove_reader(listener.fileno())  # to close it now would lose what was accepted in this moment
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        until = time.monotonic() + LINGER
        await asyncio.sleep(0.1)  # that becomes a connection
        while self.server_state.connections and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await super().shutdown(sockets)


if __name__ == "__main__":
    application, fd = sys.argv[1:]
    Server(uvicorn.Config(application, fd=int(fd), loop="asyncio", log_level="warning")).run()
