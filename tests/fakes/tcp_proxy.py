"""A TCP proxy in a process of its own: what stands between a client and a server, and can be killed and started again.

python -m tests.fakes.tcp_proxy PORT TARGET_PORT
"""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


async def serve(port: int, target: int) -> None:
    """Join every connection to `port` with a new one to `target`, both on the loopback."""

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(_pour(reader, far_writer), _pour(far_reader, writer))

    server = await asyncio.start_server(join, "127.0.0.1", port, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def _pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


class Proxy:
    """The proxy's process. It keeps its port from one life to the next."""

    def __init__(self, target: int):
        self.target, self.port = target, 0
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "tests.fakes.tcp_proxy", str(self.port), str(self.target)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def kill(self) -> None:
        """End it at once: the system resets its connections and refuses new ones."""
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@contextmanager
def running_proxy(target: int) -> Iterator[Proxy]:
    """Run a proxy to a port of the loopback while the block lasts."""
    proxy = Proxy(target)
    try:
        yield proxy
    finally:
        proxy.kill()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
