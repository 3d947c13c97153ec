"""A fake of an OpenAI-type server: real sockets, deterministic answers, faults on order, and very cheap.

    python -m tests.fakes.openai_server --port 8000 --latency 0.2 --slow-share 0.08 --slow-latency 2

It prints its URL and serves until it is killed. `running_server(...)` does the same around a test. Faults fall on a
fixed share of the requests (by the hash of their body), or on those whose text holds a marker:

    <<500>> <<429>> <<400>> <<garbage>> <<half>> <<drop>> <<hang>> <<null>>    always
    <<500 x2>>                                                                 on the first two attempts only
"""

import argparse
import asyncio
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request
import zlib
from array import array
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path

from tests.fakes.rewriting import count_tokens, rewrite

ROOT = Path(__file__).resolve().parents[2]
MARKER = re.compile(r"<<(\w+)(?: x(\d+))?>>")
HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b'{"choices": ['
RESET = struct.pack("ii", 1, 0)  # SO_LINGER that makes a close a reset


@dataclass
class Options:
    """Times are in seconds, shares in [0, 1]; a share's requests fail `fault_tries` times each (0: always)."""

    port: int = 0
    model: str = "fake"
    latency: float = 0.0
    slow_share: float = 0.0
    slow_latency: float = 2.0
    share_400: float = 0.0
    share_429: float = 0.0
    share_500: float = 0.0
    share_garbage: float = 0.0
    share_half: float = 0.0
    share_hang: float = 0.0
    fault_tries: int = 1
    retry_after: float = 1.0
    rate_per_second: float = 0.0  # requests above it are answered 429; 0: no limit
    max_model_len: int = 0  # prompt and max_tokens above it are answered 400; 0: no limit
    api_key: str = ""
    list_models: bool = True


class Server:
    """State that all connections share."""

    def __init__(self, options: Options):
        self.options = options
        self.loop = asyncio.get_running_loop()
        kinds = ("400", "429", "500", "garbage", "half", "hang")
        self.shares = [(kind, getattr(options, f"share_{kind}")) for kind in kinds]
        self.connections: set[Connection] = set()
        self.listener = None
        self.clear()

    def clear(self) -> None:
        self.in_flight = self.peak = self.early = self.prompt_tokens = self.completion_tokens = 0
        self.statuses, self.attempts, self.answered = Counter(), Counter(), Counter()
        self.twice: set[str] = set()
        self.times, self.levels = array("d"), array("l")  # requests in flight, at each change
        self.last_arrival = self.quiet_until = self.window = 0.0
        self.sent_in_window = 0

    def count(self, change: int) -> None:
        self.in_flight += change
        self.peak = max(self.peak, self.in_flight)
        self.times.append(self.loop.time())
        self.levels.append(self.in_flight)

    def fault(self, body: bytes, text: str) -> str | None:
        """Name the fault that this attempt meets, if any."""
        kind, tries = None, self.options.fault_tries
        marker = MARKER.search(text) if "<<" in text else None
        if marker:
            kind, tries = marker[1], int(marker[2] or 0)
        else:
            point = share_point(body, 1)
            for name, share in self.shares:
                if point < share:
                    kind = name
                    break
                point -= share
        return kind if tries == 0 or kind == "400" or self.attempts[hash(body)] <= tries else None

    def over_rate(self) -> bool:
        """Count this request against the limit of the current second."""
        limit, now = self.options.rate_per_second, self.loop.time()
        if now - self.window >= 1:
            self.window, self.sent_in_window = now, 0
        self.sent_in_window += 1
        return bool(limit) and self.sent_in_window > limit

    def stats(self) -> dict:
        return {
            "requests": sum(self.attempts.values()),
            "distinct": len(self.attempts),
            "answered": sum(self.answered.values()),
            "answered_twice": sorted(self.twice),
            "statuses": dict(self.statuses),
            "in_flight": self.in_flight,
            "peak": self.peak,
            "mean_in_flight": mean_level(self.times, self.levels),
            "steady_in_flight": self._steady(),
            "began": self.times[0] if self.times else None,  # by the machine's monotonic clock
            "seconds": self.times[-1] - self.times[0] if self.times else 0.0,
            "early": self.early,  # requests that came while a Retry-After was running
            "connections": len(self.connections),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "cpu_seconds": time.process_time(),
        }

    def _steady(self) -> float:
        """Mean in flight from the first time that 90% of the peak is reached to the arrival of the last request."""
        begin = next((i for i, level in enumerate(self.levels) if level >= 0.9 * self.peak), 0)
        end = next((i for i in range(len(self.times), begin, -1) if self.times[i - 1] <= self.last_arrival), begin)
        return mean_level(self.times[begin:end], self.levels[begin:end])

    async def close_door(self, seconds: float) -> None:
        """Close the door and every connection, and open it again later at the same port."""
        port = self.listener.sockets[0].getsockname()[1]
        self.listener.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await asyncio.sleep(seconds)
        await self.listen(port)

    async def listen(self, port: int) -> None:
        self.listener = await self.loop.create_server(lambda: Connection(self), "127.0.0.1", port, backlog=4096)


class Connection(asyncio.Protocol):
    """One keep-alive connection: one request at a time, as HTTP/1.1 clients send them."""

    def __init__(self, server: Server):
        self.server, self.buffer, self.pending = server, b"", None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.server.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.server.connections.discard(self)
        if self.pending:
            self.pending.cancel()
            self.finish("abandoned")

    def data_received(self, data: bytes) -> None:
        self.buffer = self.buffer + data if self.buffer else data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        method, path, _ = head.split(b" ", 2)
        if method == b"POST" and path.endswith(b"/completions"):
            self.complete(head, rest[:length])
        else:
            self.control(path.decode(), rest[:length])

    def control(self, path: str, body: bytes) -> None:
        server = self.server
        if path.endswith("/models") and server.options.list_models:
            model = {"id": server.options.model, "object": "model"}
            if server.options.max_model_len:
                model["max_model_len"] = server.options.max_model_len
            self.send(200, {"object": "list", "data": [model]})
        elif path == "/stats":
            self.send(200, server.stats())
        elif path == "/clear":
            server.clear()
            self.send(200, {})
        elif path == "/refuse":
            self.send(200, {})
            server.closing = server.loop.create_task(server.close_door(json.loads(body)["seconds"]))
        else:
            self.send(404, {"error": {"message": f"no route {path}"}})

    def complete(self, head: bytes, body: bytes) -> None:
        server, options = self.server, self.server.options
        now = server.last_arrival = server.loop.time()
        server.count(+1)
        server.attempts[hash(body)] += 1
        server.early += now < server.quiet_until
        latency = options.slow_latency if share_point(body, 2) < options.slow_share else options.latency
        self.pending = server.loop.call_later(latency, self.answer, head, body)

    def answer(self, head: bytes, body: bytes) -> None:
        """Answer as the options and the text demand. A hanging request stays pending for ever."""
        server, options = self.server, self.server.options
        request = json.loads(body)
        chat = "messages" in request
        text = request["messages"][-1]["content"] if chat else request["prompt"]
        fault = "429" if server.over_rate() else server.fault(body, text)
        if options.api_key and f"Bearer {options.api_key}".encode() not in head:
            given = head.partition(b"Bearer ")[2].partition(b"\r")[0]
            self.deny(401, f"Incorrect API key provided: {given.decode()}")
        elif request["model"] != options.model:
            self.deny(404, f"The model `{request['model']}` does not exist.")
        elif fault == "hang":
            self.pending = server.loop.call_later(1e9, self.deny, 504, "never")
        elif fault in ("half", "drop"):
            self.cut_off(HALF if fault == "half" else b"")
        elif fault == "429":
            server.quiet_until = server.loop.time() + options.retry_after
            self.deny(429, "Rate limit reached.", f"Retry-After: {options.retry_after:g}\r\n")
        elif fault == "garbage":
            self.finish("garbage")
            self.send(200, b"<html>I am not a completion")
        elif fault and fault.isdigit():
            self.deny(int(fault), f"This request is answered with {fault} on purpose.")
        else:
            self.reply(request, text, chat, body, null=fault == "null")

    def reply(self, request: dict, text: str, chat: bool, body: bytes, null: bool) -> None:
        server, limit = self.server, self.server.options.max_model_len
        prompt_tokens, max_tokens = count_tokens(text), request["max_tokens"]
        if limit and prompt_tokens + max_tokens > limit:
            asked = f"you requested {prompt_tokens + request['max_tokens']} tokens"
            return self.deny(400, f"This model's maximum context length is {limit} tokens. However, {asked}.")
        written, tokens, reason = rewrite(text, max_tokens)
        if null:
            written = None
        part = {"message": {"role": "assistant", "content": written}} if chat else {"text": written}
        usage = {"prompt_tokens": prompt_tokens, "completion_tokens": tokens, "total_tokens": prompt_tokens + tokens}
        server.prompt_tokens += prompt_tokens
        server.completion_tokens += tokens
        server.answered[hash(body)] += 1
        if server.answered[hash(body)] > 1:
            server.twice.add(text[:80])
        self.finish(200)
        choice = {"index": 0, **part, "finish_reason": reason}
        self.send(200, {"object": "chat.completion", "model": request["model"], "choices": [choice], "usage": usage})

    def deny(self, status: int, message: str, headers: str = "") -> None:
        self.finish(status)
        self.send(status, {"error": {"message": message, "code": status}}, headers)

    def cut_off(self, beginning: bytes) -> None:
        self.finish("reset")
        self.transport.write(beginning)
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self.server.loop.call_later(0.01, self.transport.abort)

    def finish(self, status: int | str) -> None:
        self.pending = None
        self.server.count(-1)
        self.server.statuses[str(status)] += 1

    def send(self, status: int, content: dict | bytes, headers: str = "") -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.transport.write(head.encode() + body)


def share_point(body: bytes, salt: int) -> float:
    """Place a request in [0, 1), the same each time it comes."""
    return zlib.crc32(body, salt) / 2**32


def mean_level(times: array, levels: array) -> float:
    """Mean of a step function over its time; level i holds from times[i] to times[i + 1]."""
    if len(times) < 2 or times[-1] == times[0]:
        return 0.0
    area = sum(level * (end - begin) for level, begin, end in zip(levels, times, times[1:], strict=False))
    return area / (times[-1] - times[0])


async def serve(options: Options) -> None:
    server = Server(options)
    await server.listen(options.port)
    print(f"http://127.0.0.1:{server.listener.sockets[0].getsockname()[1]}/v1", flush=True)
    stopped = asyncio.Event()
    server.loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()


class RunningServer:
    """A fake server in a process of its own. `url` ends in /v1."""

    def __init__(self, url: str, process: subprocess.Popen):
        self.url, self.process = url, process

    def stats(self) -> dict:
        return self._call("/stats")

    def clear(self) -> None:
        self._call("/clear")

    def refuse(self, seconds: float) -> None:
        """Take no connections for a while, and drop those there are."""
        self._call("/refuse", {"seconds": seconds})

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)
        self.process.stdout.close()

    def _call(self, path: str, content: dict | None = None) -> dict:
        body = None if content is None else json.dumps(content).encode()
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(
            self.url.removesuffix("/v1") + path, body, timeout=10
        ) as answer:
            return json.load(answer)


@contextmanager
def running_server(**options) -> Iterator[RunningServer]:
    """Run a server with the given Options in its own process while the block lasts."""
    words = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    command = [sys.executable, "-m", "tests.fakes.openai_server", *words]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    url = process.stdout.readline().strip()
    if not url:
        raise RuntimeError(f"the fake server did not start: {' '.join(command)}")
    server = RunningServer(url, process)
    try:
        yield server
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for option in fields(Options):
        kind = (lambda word: word.lower() in ("1", "true")) if option.type is bool else option.type
        parser.add_argument(f"--{option.name.replace('_', '-')}", type=kind, default=option.default)
    options = Options(**vars(parser.parse_args()))
    try:
        import uvloop as loops
    except ImportError:
        loops = asyncio
    loops.run(serve(options))


if __name__ == "__main__":
    main()
