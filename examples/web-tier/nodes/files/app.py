"""The application: counts visits in the store.

    app.py ADDRESS PORT

`GET /` answers with the number of the visit; `GET /health` says whether the
store can be reached. The store speaks a subset of the Redis protocol.
"""

import signal
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
STORE_PORT = 6379
STORE_TIMEOUT_S = 1.0
STORE_ATTEMPTS = 2
# How long requests that have begun may take once the application is told to end.
DRAIN_S = 3.0

NAME = (HERE / "name").read_text().strip()


class Store:
    """A connection to the store, made anew when it breaks."""

    def __init__(self):
        self.stream = None

    def command(self, *words):
        """Returns the answer to a command."""
        for attempt in range(STORE_ATTEMPTS):
            try:
                return self._ask(words)
            except (OSError, ValueError) as error:
                self.close()
                failure = error
        raise OSError(f"the store does not answer: {failure}")

    def _ask(self, words):
        if self.stream is None:
            address = (HERE / "store").read_text().strip()
            connection = socket.create_connection((address, STORE_PORT), STORE_TIMEOUT_S)
            self.stream = connection.makefile("rwb")
            connection.close()
        request = b"*%d\r\n" % len(words)
        for word in words:
            request += b"$%d\r\n%s\r\n" % (len(word), word.encode())
        self.stream.write(request)
        self.stream.flush()
        line = self.stream.readline()
        if not line.endswith(b"\r\n") or line[:1] not in b"+:":
            raise ValueError(f"unexpected answer {line[:80]!r}")
        return line[1:].strip().decode()

    def close(self):
        """Forgets the connection."""
        if self.stream is not None:
            try:
                self.stream.close()
            except OSError:
                pass
            self.stream = None


class Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60
    ending = False
    running = 0
    lock = threading.Lock()

    def setup(self):
        super().setup()
        self.store = Store()

    def finish(self):
        self.store.close()
        super().finish()

    def do_GET(self):
        with Handler.lock:
            Handler.running += 1
        try:
            self._answer()
        finally:
            with Handler.lock:
                Handler.running -= 1

    do_HEAD = do_GET

    def _answer(self):
        try:
            if self.path == "/health":
                # A server that is about to end wants no more requests.
                status = 503 if Handler.ending else 200
                text = "ending\n" if Handler.ending else self.store.command("PING") + "\n"
            elif self.path != "/":
                status, text = 404, "there is only /\n"
            elif self.command != "GET":
                status, text = 200, ""
            else:
                status, text = 200, f"visit {self.store.command('INCR', 'visits')}\n"
        except OSError as error:
            status, text = 503, f"{error}\n"
        body = b"" if self.command == "HEAD" else text.encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Served-By", NAME)
        if Handler.ending:
            self.send_header("Connection", "close")
            self.close_connection = True
        # Head and body leave together: nobody ever gets half an answer.
        self._headers_buffer.append(b"\r\n" + body)
        self.flush_headers()

    def log_message(self, *_):
        """Keeps quiet: one line for each request would fill the log."""


class Server(ThreadingHTTPServer):
    """One thread for each connection."""

    daemon_threads = True
    request_queue_size = 128


def main():
    """Serves until told to end; then finishes what has begun."""
    server = Server((sys.argv[1], int(sys.argv[2])), Handler)

    def end(*_):
        Handler.ending = True
        threading.Thread(target=server.shutdown, daemon=True).start()

    signal.signal(signal.SIGTERM, end)
    print(f"app: {NAME} serves", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    deadline = time.monotonic() + DRAIN_S
    while Handler.running and time.monotonic() < deadline:
        time.sleep(0.02)


main()
