"""A server of OpenAI's protocol that answers as a test scripts it, byte for byte. It runs in a thread of the test."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEXT = (
    "The old mill by the river is turned by its water, and the miller sells the flour that he grinds in the near town."
)


@dataclass
class Asked:
    """A request as it came. `tries` counts those with the same prompt, this one included."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    tries: int

    @property
    def prompt(self) -> str:
        messages = self.body.get("messages")
        return messages[-1]["content"] if messages else self.body["prompt"]


# A status, header fields and the body, which may be plain values.
Answer = tuple[int, dict[str, str], Any]


@dataclass
class Script:
    """`answer` says what a request is answered; `asked` are those that came."""

    answer: Callable[[Asked], Any]
    models: list[dict] = field(default_factory=lambda: [{"id": "fake"}])
    asked: list[Asked] = field(default_factory=list)
    tries: Counter = field(default_factory=Counter)
    url: str = ""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def do_GET(self):
        self._send(200, {}, {"object": "list", "data": self.script.models})

    def do_POST(self):
        script = self.script
        content = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.loads(content)
        key = json.dumps(body.get("messages") or body.get("prompt"))
        script.tries[key] += 1
        asked = Asked(self.path, dict(self.headers), body, script.tries[key])
        script.asked.append(asked)
        answer = script.answer(asked)
        self._send(*(answer if isinstance(answer, tuple) else (200, {}, answer)))

    def _send(self, status: int, headers: dict[str, str], body: Any) -> None:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


class ManyAtOnce(ThreadingHTTPServer):
    request_queue_size = 256
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of a client that has gone: a run that was stopped waits for no answer."""


@contextmanager
def scripted_server(answer: Callable[[Asked], Any], **script) -> Iterator[Script]:
    """Serve while the block lasts; `url` of what is yielded ends in /v1."""
    told = Script(answer, **script)
    handler = type("Handler", (Handler,), {"script": told})
    with ManyAtOnce(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        told.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        try:
            yield told
        finally:
            server.shutdown()
            thread.join()


def chat(content: Any = TEXT, reason: Any = "stop", **message) -> dict:
    """Give a completion of one message."""
    choice = {"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": content, **message}}
    usage = {"prompt_tokens": 50, "completion_tokens": 40, "total_tokens": 90}
    return {"object": "chat.completion", "model": "fake", "choices": [choice], "usage": usage}


def error(message: str, code: Any = None, **more) -> dict:
    """Give the body of a refusal."""
    return {"error": {"message": message, "code": code, **more}}
