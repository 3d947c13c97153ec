"""An S3 service that fails as it is told: a proxy before a sound one, which breaks the exchanges that a rule picks.

with faulty_s3(sound) as faulty:
    faulty.fails(answer(503, "SlowDown"), "PUT", "/data/", times=3)
    faulty.fails(reset_body(after=1000), "GET", r"corpus/a\\.jsonl", first=2)
    Place("s3://corpus/out", faulty.storage).publish("data/a", b"...")
    assert faulty.failed == 3
"""

import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from operators.storage.config import StorageConfig

PIECE = 1 << 16  # bytes read of a request at once


class Exchange(BaseHTTPRequestHandler):
    """One request, as a fault is handed it."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def serve(self) -> None:
        self.left = int(self.headers.get("Content-Length", 0))
        with suppress(OSError):  # the client left
            self.server.faulty.fault_for(f"{self.command} {self.path}")(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = serve

    def read_body(self, most: int | None = None) -> bytes:
        """Take in the body of the request, or its first bytes."""
        size = self.left if most is None else min(most, self.left)
        self.left -= size
        return self.rfile.read(size)

    def forward(self, without: str = "") -> tuple[HTTPResponse, bytes]:
        """Have the request done, less one header, and give the answer and its body."""
        headers = {name: value for name, value in self.headers.items() if name.lower() != without.lower()}
        sound = HTTPConnection(self.server.faulty.sound, timeout=60)
        try:
            sound.request(self.command, self.path, self.read_body(), headers)
            answer = sound.getresponse()
            return answer, answer.read()
        finally:
            sound.close()

    def send(self, answer: HTTPResponse, body: bytes, length: int | None = None) -> None:
        """Pass on an answer with this body; `length` is what its head says of it, where that is another one."""
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "connection", "transfer-encoding"):
                self.send_header(name, value)
        known = answer.getheader("Content-Length", "0") if self.command == "HEAD" else len(body)
        self.send_header("Content-Length", str(length if length is not None else known))
        self.end_headers()
        self.wfile.write(body)

    def reset(self) -> None:
        """End the connection as a crashed server does: with a reset and without what is still on its way."""
        self.close_connection = True
        _reset(self.connection)
        self.rfile.close()
        self.connection.close()

    def hang(self) -> None:
        """Do nothing until the client leaves or the proxy goes down."""
        self.close_connection = True
        self.server.faulty.closing.wait(60)

    def log_message(self, *_) -> None:
        pass


Fault = Callable[[Exchange], None]


def sound(exchange: Exchange) -> None:
    exchange.send(*exchange.forward())


def answer(status: int, code: str) -> Fault:
    """Answer with an error of S3 and leave the request undone."""
    xml = f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>of key AKIASECRET</Message></Error>".encode()

    def fault(exchange: Exchange) -> None:
        exchange.read_body()
        exchange.send_response_only(status)
        exchange.send_header("Content-Type", "application/xml")
        exchange.send_header("Content-Length", str(len(xml)))
        exchange.end_headers()
        exchange.wfile.write(b"" if exchange.command == "HEAD" else xml)

    return fault


def reset_request(after: int) -> Fault:
    """Reset the connection after so many bytes of the request's body."""

    def fault(exchange: Exchange) -> None:
        exchange.read_body(after)
        exchange.reset()

    return fault


def stall_request(after: int) -> Fault:
    """Stop to take in the request after so many bytes of its body."""

    def fault(exchange: Exchange) -> None:
        exchange.read_body(after)
        exchange.hang()

    return fault


def lose_answer(exchange: Exchange) -> None:
    """Do what was asked and reset the connection without an answer."""
    exchange.forward()
    exchange.reset()


def _cut(after: int, ending: Fault) -> Fault:
    def fault(exchange: Exchange) -> None:
        head, body = exchange.forward()
        exchange.send(head, body[:after], len(body))
        exchange.wfile.flush()
        ending(exchange)

    return fault


def reset_body(after: int) -> Fault:
    """Reset the connection after so many bytes of the answer's body."""
    return _cut(after, Exchange.reset)


def stall_body(after: int) -> Fault:
    """Fall silent after so many bytes of the answer's body."""
    return _cut(after, Exchange.hang)


def end_body(after: int) -> Fault:
    """Close the connection in good order after so many bytes of the answer's body."""

    def ending(exchange: Exchange) -> None:
        exchange.close_connection = True

    return _cut(after, ending)


def shorten(size: int) -> Fault:
    """Give only the first bytes of the answer's body, as if they were all of it."""

    def fault(exchange: Exchange) -> None:
        head, body = exchange.forward()
        exchange.send(head, body[:size])

    return fault


def without(header: str) -> Fault:
    """Pass over a header of the request, as a store does that does not know it."""
    return lambda exchange: exchange.send(*exchange.forward(header))


def first_do(act: Callable[[], None]) -> Fault:
    """Have something happen just before the request is done."""

    def fault(exchange: Exchange) -> None:
        act()
        sound(exchange)

    return fault


@dataclass
class Rule:
    """Fails the requests `first` to `first + times - 1` of those that match."""

    fault: Fault
    method: str
    where: re.Pattern
    first: int
    times: float
    seen: int = 0

    def picks(self, request: str) -> bool:
        method, _, path = request.partition(" ")
        if not (re.fullmatch(self.method, method) and self.where.search(path)):
            return False
        self.seen += 1
        return self.first <= self.seen < self.first + self.times


class FaultyS3:
    """The proxy. `requests` holds "METHOD PATH?QUERY" of all requests that came, `failed` counts those that a rule picked."""

    def __init__(self, storage: StorageConfig):
        self.sound = urlsplit(storage.endpoint_url).netloc
        self.mend()
        self.lock = threading.Lock()
        self.port = 0
        self.up()
        self.storage = StorageConfig(endpoint_url=f"http://127.0.0.1:{self.port}")

    def mend(self) -> None:
        """Forget all rules and what came so far."""
        self.rules: list[Rule] = []
        self.requests: list[str] = []
        self.failed = 0

    def fails(self, fault: Fault, method: str = ".*", where: str = "", first: int = 1, times: float = 1) -> None:
        """Have a fault happen to requests of a method whose path with its query matches; both are regular expressions."""
        self.rules.append(Rule(fault, method, re.compile(where), first, times))

    def fault_for(self, request: str) -> Fault:
        with self.lock:
            self.requests.append(request)
            picking = [rule for rule in self.rules if rule.picks(request)]
            self.failed += bool(picking)
        return picking[0].fault if picking else sound

    def up(self) -> None:
        """Listen, on the port of before."""
        self.closing = threading.Event()
        self.server = _Server(("127.0.0.1", self.port), Exchange)
        self.server.faulty, self.port = self, self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def down(self) -> None:
        """Reset all connections and refuse new ones."""
        self.closing.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    faulty: FaultyS3

    def __init__(self, *arguments):
        self.connections: set[socket.socket] = set()
        super().__init__(*arguments)

    def process_request(self, request: socket.socket, client_address) -> None:
        self.connections.add(request)
        super().process_request(request, client_address)

    def server_close(self) -> None:
        super().server_close()
        for connection in self.connections:
            with suppress(OSError):
                _reset(connection)
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request, client_address) -> None:
        pass  # a client that left, or a connection that was reset on purpose


def _reset(connection: socket.socket) -> None:
    """Make closing a connection send a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def faulty_s3(storage: StorageConfig) -> Iterator[FaultyS3]:
    """Stand a proxy without rules before a sound service; its `storage` has the settings that lead through it."""
    faulty = FaultyS3(storage)
    try:
        yield faulty
    finally:
        faulty.down()
