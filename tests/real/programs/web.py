"""A web server that answers as the file `mood` says: nothing in it is good, `500` a status, `hang` no answer,
only the file `mood.seen`.

    web.py PORT MOOD

At its start it is in a good mood: a restart helps.
"""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT, MOOD = int(sys.argv[1]), Path(sys.argv[2])


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        mood = MOOD.read_text() if MOOD.exists() else ""
        if mood == "hang":
            MOOD.with_suffix(".seen").touch()
            time.sleep(60)
        self.send_response(int(mood or 200))
        self.end_headers()
        self.wfile.write(b"hello")

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    MOOD.unlink(missing_ok=True)
    ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()
