"""A stand-in for HAProxy where it cannot be installed: shares GET requests out.

    fallback_balancer.py ADDRESS PORT MEMBERS

MEMBERS is a file with the addresses of the application servers; it is read
again whenever it changes. A request that one member does not answer is given
to the next. It is part of an example, not a load balancer for the world.
"""

import http.client
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MEMBER_PORT = 8000
CONNECT_TIMEOUT_S = 0.5
ANSWER_TIMEOUT_S = 3.0
# How long a request is tried in all, and the pause after all members failed.
REQUEST_S = 10.0
ROUND_PAUSE_S = 0.2
# How long a member that did not answer is asked last.
AVOID_S = 1.0
BODY_BYTES_MAX = 1 << 20


class Members:
    """The application servers, in turn."""

    def __init__(self, path):
        self.path = Path(path)
        self.lock = threading.Lock()
        self.stamp = None
        self.addresses = []
        self.turn = 0
        self.avoided = {}

    def in_turn(self):
        """Returns all members in the order in which to ask them."""
        with self.lock:
            self._read()
            self.turn += 1
            count = len(self.addresses)
            order = [self.addresses[(self.turn + step) % count] for step in range(count)]
            now = time.monotonic()
            return sorted(order, key=lambda address: self.avoided.get(address, 0) > now)

    def avoid(self, address):
        """Asks a member last for a while."""
        with self.lock:
            self.avoided[address] = time.monotonic() + AVOID_S

    def _read(self):
        try:
            status = self.path.stat()
            stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
            if stamp == self.stamp:
                return
            text = self.path.read_text()
        except OSError:
            return
        # A list is complete once its line is: it may be read while it is written.
        if text.endswith("\n") and text.split():
            self.addresses = text.split()
            self.avoided = {}
            self.stamp = stamp
            print(f"balancer: members {' '.join(self.addresses)}", flush=True)


def ask(address, method, path):
    """Returns status, headers and body of a member's answer."""
    connection = http.client.HTTPConnection(address, MEMBER_PORT, timeout=CONNECT_TIMEOUT_S)
    try:
        connection.connect()
        connection.sock.settimeout(ANSWER_TIMEOUT_S)
        connection.request(method, path, headers={"Connection": "close"})
        answer = connection.getresponse()
        body = answer.read(BODY_BYTES_MAX)
        if answer.status >= 500:
            raise http.client.HTTPException(f"status {answer.status}")
        return answer.status, answer.getheaders(), body
    finally:
        connection.close()


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one visitor's connection."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    members = None

    def do_GET(self):
        if self.path == "/balancer-health":
            self._send(200, [], b"well\n")
            return
        deadline = time.monotonic() + REQUEST_S
        while time.monotonic() < deadline:
            for address in self.members.in_turn():
                try:
                    status, headers, body = ask(address, self.command, self.path)
                except (OSError, http.client.HTTPException):
                    self.members.avoid(address)
                    continue
                self._send(status, headers, body)
                return
            time.sleep(ROUND_PAUSE_S)
        self._send(503, [], b"no application server answers\n")

    do_HEAD = do_GET

    def _send(self, status, headers, body):
        if self.command == "HEAD":
            body = b""
        self.send_response(status)
        for name, value in headers:
            if name.lower().startswith("x-") or name.lower() == "content-type":
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Balancer", "fallback_balancer.py")
        self._headers_buffer.append(b"\r\n" + body)
        self.flush_headers()

    def log_message(self, *_):
        """Keeps quiet: one line for each request would fill the log."""


class Server(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


Handler.members = Members(sys.argv[3])
Server((sys.argv[1], int(sys.argv[2])), Handler).serve_forever()
