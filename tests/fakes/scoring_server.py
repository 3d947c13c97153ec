"""A completions server that tells log-probabilities of the tokens it is given, made up from neighbouring ids.

It runs in a thread of the test. `fake_loss` says what it will answer.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from typing import Any

ALL = ("prompt_logprobs", "echo", "echo_one_more")


def fake_loss(before: int, token: int) -> float:
    return (31 * before + 17 * token) % 1000 / 100


@dataclass
class Behaviour:
    """What the server understands and what it does wrong. `spell` gives a token's text."""

    spell: Any
    dialects: tuple[str, ...] = ALL
    names_ids: bool = True
    first: int | None = None  # a token that it puts before every prompt
    swap: tuple[int, int] | None = None  # it takes one token for another
    impossible: int | None = None  # a token that it never expects
    context_tokens: int = 1000
    faults: list[int] = field(default_factory=list)  # statuses with which it answers first
    requests: list[dict] = field(default_factory=list)
    peak: int = 0
    running: int = 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    behaviour: Behaviour

    def do_GET(self):
        self._send(200, {"data": [{"id": "fake", "max_model_len": self.behaviour.context_tokens}]})

    def do_POST(self):
        server = self.behaviour
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server.running += 1
        server.peak = max(server.peak, server.running)
        server.requests.append(body)
        if server.faults:
            self._send(server.faults.pop(0), {"error": {"message": "on purpose"}})
        elif len(body["prompt"]) + body["max_tokens"] > server.context_tokens:
            self._send(400, {"error": {"message": "longer than the context length"}})
        else:
            self._answer(body)
        server.running -= 1

    def _answer(self, body: dict) -> None:
        server, dialect = self.behaviour, dialect_of(body)
        if dialect not in server.dialects and dialect != "prompt_logprobs":  # an unknown field is mostly passed over
            return self._send(400, {"error": {"message": "echo with these settings is not supported"}})
        tokens = list(body["prompt"])
        if server.first is not None:
            tokens.insert(0, server.first)
        if server.swap and server.swap[0] in tokens:
            tokens[tokens.index(server.swap[0])] = server.swap[1]
        log_probs = [None, *(-fake_loss(before, token) for before, token in pairwise(tokens))]
        if server.impossible in tokens:
            log_probs[tokens.index(server.impossible)] = -9999.0
        texts = [server.spell(token) for token in tokens]
        choice: dict[str, Any] = {"index": 0, "text": "x", "finish_reason": "length"}
        if dialect == "prompt_logprobs" and dialect in server.dialects:
            told = zip(tokens[1:], log_probs[1:], texts[1:], strict=True)
            choice["prompt_logprobs"] = [
                None, *({str(token): {"logprob": p, "rank": 1, "decoded_token": text}} for token, p, text in told)
            ]  # fmt: skip
        elif dialect != "prompt_logprobs":
            more = body["max_tokens"]
            choice["logprobs"] = {"tokens": texts + ["x"] * more, "token_logprobs": log_probs + [-1.0] * more}
        self._send(200, {"choices": [choice]})

    def _send(self, status: int, content: dict) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def dialect_of(body: dict) -> str:
    if "prompt_logprobs" in body:
        return "prompt_logprobs"
    return "echo_one_more" if body["max_tokens"] else "echo"


@contextmanager
def scoring_server(behaviour: Behaviour) -> Iterator[str]:
    """Serve while the block lasts; yields the address up to /v1."""
    handler = type("Handler", (Handler,), {"behaviour": behaviour})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()
            thread.join()
