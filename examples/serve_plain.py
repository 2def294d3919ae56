"""A web server of Python's library on a managed socket that loses no request when it is asked to end.

    [watcher:web]
    cmd = python serve_plain.py $(circus.sockets.web)
"""

import os
import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn


class Server(ThreadingMixIn, TCPServer):
    def __init__(self, fd, handler):
        super().__init__(None, handler, bind_and_activate=False)
        self.socket.close()
        self.socket = socket.socket(fileno=fd)
        self.socket.setblocking(False)  # other processes accept from it, too, and may have been faster


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.05)
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    server = Server(int(sys.argv[1]), Handler)
    # An exception from a signal handler could fall between accept and answer, so that loop ends by itself.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()  # waits for the threads that still answer
