"""Web applications that say which process has served the request, at once or, asked for `/slow`, after 50 ms."""

import asyncio
import os
import time


def application(environ, start_response):
    """WSGI."""
    if environ["PATH_INFO"] == "/slow":
        time.sleep(0.05)
    body = str(os.getpid()).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(scope, receive, send):
    """ASGI."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])  # there is nothing to do at the start and end of the server
    if scope["path"] == "/slow":
        await asyncio.sleep(0.05)
    body = str(os.getpid()).encode()
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
