"""Visitors: ask the balancer again and again, and count the answers.

    load.py count REQUESTS    asks that often, and prints how many back-ends answered
    load.py run SECONDS       asks until the file `stop` is there, or the time is over

No request is sent twice: one that is not answered with a visit's number is
lost. The report has one `name value` a line.
"""

import http.client
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PORT = 8080
VISITORS = 8
# Visitors pause between requests: this counts losses, it does not measure speed.
PAUSE_S = 0.02
# Every second visitor keeps its connection; the others make a new one each time.
TIMEOUT_S = 20.0
SECONDS_MAX = 900


class Tally:
    """What all visitors saw."""

    def __init__(self):
        self.lock = threading.Lock()
        self.answered = 0
        self.visits = set()
        self.repeated = 0
        self.losses = []
        self.back_ends = {}
        self.balancers = set()
        self.slowest_ms = 0

    def answer(self, body, headers, span_s):
        """Counts an answer."""
        visit = int(body.split()[1])
        with self.lock:
            self.answered += 1
            self.repeated += visit in self.visits
            self.visits.add(visit)
            name = headers["X-Served-By"]
            self.back_ends[name] = self.back_ends.get(name, 0) + 1
            self.balancers.add(headers["X-Balancer"])
            self.slowest_ms = max(self.slowest_ms, round(span_s * 1000))

    def loss(self, reason):
        """Counts a request that was not answered as it should."""
        with self.lock:
            self.losses.append(f"{time.strftime('%H:%M:%S')} {reason}")


def visit(tally, address, keeps, goes_on):
    """Asks as long as `goes_on` says so."""
    connection = None
    while goes_on():
        start = time.monotonic()
        try:
            if connection is None:
                connection = http.client.HTTPConnection(address, PORT, timeout=TIMEOUT_S)
                connection.connect()
            connection.request("GET", "/", headers={} if keeps else {"Connection": "close"})
            answer = connection.getresponse()
            body = answer.read().decode()
            if answer.status != 200:
                raise ValueError(f"status {answer.status}: {body.strip()[:80]}")
            tally.answer(body, answer.headers, time.monotonic() - start)
            closes = not keeps or answer.will_close
        except (OSError, ValueError, IndexError, KeyError, http.client.HTTPException) as error:
            tally.loss(f"{type(error).__name__}: {error}")
            closes = True
        if closes and connection is not None:
            connection.close()
            connection = None
        time.sleep(PAUSE_S)


def main():
    """Sends the visitors and prints what they saw."""
    kind, amount = sys.argv[1], int(sys.argv[2])
    address = (HERE / "balancer").read_text().strip()
    tally = Tally()
    left = iter(range(amount))
    deadline = time.monotonic() + min(amount, SECONDS_MAX)
    stop = HERE / "stop"

    def goes_on():
        if kind == "count":
            with tally.lock:
                return next(left, None) is not None
        return time.monotonic() < deadline and not stop.exists()

    start = time.monotonic()
    visitors = [
        threading.Thread(target=visit, args=(tally, address, number % 2 == 0, goes_on))
        for number in range(VISITORS)
    ]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join()
    print("lost", len(tally.losses))
    print("answered", tally.answered)
    print("repeated", tally.repeated)
    print("back-ends", len(tally.back_ends))
    print("balancer", ",".join(sorted(map(str, tally.balancers))))
    print("seconds", round(time.monotonic() - start))
    print("slowest_ms", tally.slowest_ms)
    for name in sorted(tally.back_ends):
        print("share", name, tally.back_ends[name])
    for loss in tally.losses[:10]:
        print("loss", loss)


main()
