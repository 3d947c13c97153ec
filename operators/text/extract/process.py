"""The process of its own in which pages are extracted.

Pages of the web make parsers loop for minutes and even crash. Only another process can be stopped then; it costs one
import per reader, and the page travels over a pipe.
"""

import atexit
import os
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import lru_cache
from select import select

from operators.text.extract.base import ExtractorFailure, NoText, load
from operators.text.extract.charset import decode

SECONDS = 30.0  # for one page
START_SECONDS = 120.0
MAX_HTML = 2**24  # bytes; a parsed page takes some 30 times its size in memory
TRIES = 2  # of a page under which the process ends: it may have ended for a reason of its own
MOST_CAUSE = 500  # characters of what an extractor raised

REQUEST = struct.Struct("!II")  # bytes of the charset's name, bytes of the page
ANSWER = struct.Struct("!?I")  # whether there is a text, empty where none was found; bytes of it, or of what was raised
READY = b"\n"
SERVE = f"import sys, {__name__} as process; process.serve(sys.argv[1])"  # this module is not imported twice, as -m would have it


def extract(html: bytes, charset: str | None = None, by: str = "trafilatura") -> str | None:
    """Return the main text of a page, null where it has none.

    `charset` is what the server said. Raises NoText where the page came to nothing for another cause; ExtractorFailure where
    the extractor cannot be loaded.
    """
    if len(html) > MAX_HTML:
        raise NoText("too_large", f"the page has {len(html):,} bytes, {MAX_HTML:,} are read at the most")
    if not html.strip():
        return None
    return process_of(by).extract(html, charset or "")


@lru_cache
def process_of(by: str) -> "Process":
    """Give the process of an extractor; this one has one of each."""
    return Process(by)


class Process:
    """The process that extracts; it is started when first needed, and anew after it had to be stopped."""

    def __init__(self, by: str):
        self.by = by
        self._lock, self.running = threading.Lock(), None
        atexit.register(self._stop)

    def extract(self, html: bytes, charset: str) -> str | None:
        """Ask again where the process ends under the question. Raises as the function of this name."""
        with self._lock:
            for _ in range(TRIES):
                try:
                    return self._ask(html, charset.encode())
                except TimeoutError as error:
                    self._stop()
                    raise NoText("deadline", f"{self.by} found no text within {SECONDS:g} s") from error
                except (BrokenPipeError, EOFError):
                    self._stop()
        raise NoText("crash", f"the process of {self.by} ended under it, {TRIES} times")

    def _ask(self, html: bytes, charset: bytes) -> str | None:
        process = self._started()
        deadline = time.monotonic() + SECONDS
        process.stdin.write(REQUEST.pack(len(charset), len(html)) + charset + html)
        process.stdin.flush()
        found, size = ANSWER.unpack(_read(process, ANSWER.size, deadline))
        said = _read(process, size, deadline).decode()
        if not found:
            raise NoText("no_main_text", f"{self.by} raised {said}")
        return said or None

    def _started(self) -> subprocess.Popen:
        if self.running is None:
            path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
            self.running = subprocess.Popen(
                [sys.executable, "-c", SERVE, self.by],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
            try:
                _read(self.running, len(READY), time.monotonic() + START_SECONDS)
            except (EOFError, TimeoutError) as error:
                self._stop()
                raise ExtractorFailure(f"extract.by={self.by} did not start; `import {self.by}` tells why.") from error
        return self.running

    def _stop(self) -> None:
        process, self.running = self.running, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdout.close()
            with suppress(BrokenPipeError):  # a page that was never read
                process.stdin.close()


def _read(process: subprocess.Popen, size: int, deadline: float) -> bytes:
    """Read exactly `size` bytes. Raises EOFError where the process ended, TimeoutError at the deadline."""
    parts, descriptor = [], process.stdout.fileno()
    while size:
        ready, _, _ = select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TimeoutError
        part = os.read(descriptor, size)
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def serve(by: str) -> None:
    """Answer pages from standard input until it ends, which it also does when the reader is killed."""
    import logging
    import signal

    main_text = load(by)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the reader, which ends this by closing the pipe
    logging.disable()
    requests, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    sys.stdout = sys.stderr
    answers.write(READY)
    answers.flush()
    while header := requests.read(REQUEST.size):
        name_size, html_size = REQUEST.unpack(header)
        charset = requests.read(name_size).decode()
        try:
            found, said = True, (main_text(decode(requests.read(html_size), charset)) or "").strip()
        except BaseException as error:  # extractors and parsers raise of everything
            found, said = False, f"{type(error).__name__}: {error}"[:MOST_CAUSE]
        answer = said.encode(errors="ignore")
        answers.write(ANSWER.pack(found, len(answer)) + answer)
        answers.flush()
