"""A proxy for HTTP, and for tunnels (CONNECT). Every host that is asked for is the one server behind it."""

import base64
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer

KEPT_BACK = ("proxy-authorization", "connection", "expect")
REFUSAL = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass
class Proxy:
    """`asked` are the request lines that came; without the `credentials` (USER:PASSWORD, where there are any) nothing passes."""

    behind: tuple[str, int]
    credentials: str | None = None
    asked: list[str] = field(default_factory=list)
    address: str = ""


class Handler(StreamRequestHandler):
    proxy: Proxy

    def handle(self):
        while line := self.rfile.readline().decode().strip():
            fields = dict(iter(self._field, ("", "")))
            if "expect" in fields:  # the body comes only when it is asked for
                self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = self.rfile.read(int(fields.get("content-length", 0)))
            self.proxy.asked.append(line)
            if not self._may(fields):
                return self.wfile.write(REFUSAL)
            method, url, _ = line.split(" ")
            if method == "CONNECT":
                return self._tunnel()
            self._hand_on(f"{method} /{url.split('/', 3)[3]} HTTP/1.1", fields, body)

    def _may(self, fields: dict[str, str]) -> bool:
        given = fields.get("proxy-authorization", "").removeprefix("Basic ")
        return not self.proxy.credentials or base64.b64decode(given).decode() == self.proxy.credentials

    def _hand_on(self, line: str, fields: dict[str, str], body: bytes) -> None:
        kept = [f"{name}: {value}" for name, value in fields.items() if name not in KEPT_BACK]
        with socket.create_connection(self.proxy.behind) as server:
            server.sendall("\r\n".join([line, *kept, "connection: close", "", ""]).encode() + body)
            while data := server.recv(65536):
                self.wfile.write(data)

    def _tunnel(self) -> None:
        with suppress(OSError), socket.create_connection(self.proxy.behind) as server:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            threading.Thread(target=pump, args=(self.connection, server), daemon=True).start()
            pump(server, self.connection)

    def _field(self) -> tuple[str, str]:
        name, _, value = self.rfile.readline().decode().strip().partition(":")
        return name.lower(), value.strip()


def pump(source: socket.socket, target: socket.socket) -> None:
    """Hand on all that comes until one side closes."""
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@contextmanager
def running_proxy(behind: tuple[str, int], credentials: str | None = None) -> Iterator[Proxy]:
    """Run a proxy in a thread while the block lasts; `address` of what is yielded is HOST:PORT."""
    told = Proxy(behind, credentials)
    ThreadingTCPServer.daemon_threads = ThreadingTCPServer.allow_reuse_address = True
    with ThreadingTCPServer(("127.0.0.1", 0), type("Handler", (Handler,), {"proxy": told, "rbufsize": 0})) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        told.address = f"127.0.0.1:{server.server_address[1]}"
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()
