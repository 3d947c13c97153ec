"""HTML to main text by trafilatura, in a process of its own.

Pages of the web make parsers loop for minutes and even crash. Only another process can be stopped then; it costs one
import per reader, and the page travels over a pipe. Source: Barbaresi 2021, "Trafilatura: A Web Scraping Library".
"""

import atexit
import codecs
import os
import re
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress
from select import select

SECONDS = 30.0  # for one page
START_SECONDS = 120.0
MAX_HTML = 2**24  # bytes; a parsed page takes some 30 times its size in memory

REQUEST = struct.Struct("!II")  # bytes of the charset's name, bytes of the page
ANSWER = struct.Struct("!i")  # bytes of the text, -1 where there is none
READY = b"\n"

META_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_:.-]+)", re.IGNORECASE)
BOMS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# As browsers read them (WHATWG Encoding): the wider set that is in use under the name.
WIDER = {
    "iso-8859-1": "cp1252",
    "latin-1": "cp1252",
    "latin1": "cp1252",
    "us-ascii": "cp1252",
    "ascii": "cp1252",
    "iso-8859-9": "cp1254",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "tis-620": "cp874",
}
NO_CHARSETS = ("idna", "punycode", "unicode_escape", "raw_unicode_escape")  # codecs of Python's own


class ExtractorFailure(RuntimeError):
    """The process that extracts cannot be started: no page is to blame."""


def extract(html: bytes, charset: str | None = None) -> str | None:
    """Return the main text of a page, null where there is none, or none within SECONDS and MAX_HTML.

    `charset` is what the server said. Raises nothing for what is in the page; ExtractorFailure where trafilatura cannot
    be loaded.
    """
    if len(html) > MAX_HTML or not html.strip():
        return None
    return _process.extract(html, charset or "")


def decode(content: bytes, charset: str | None = None) -> str:
    """Decode a page: its byte order mark, UTF-8 where it is that, the charset declared, else the most likely one."""
    for bom, encoding in BOMS.items():
        if content.startswith(bom):
            return content.decode(encoding, "replace")
    declared = _codec(charset) or _codec(_meta_charset(content))
    # Few bytes of another charset happen to be UTF-8, so UTF-8 goes before what is declared, which is often wrong. The
    # 7-bit charsets always are UTF-8 too.
    guesses = (declared, "utf-8") if (declared or "").startswith(("iso2022", "hz")) else ("utf-8", declared)
    for encoding in filter(None, guesses):
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    return content.decode(declared or _likely(content), "replace")


def _codec(name: str | None) -> str | None:
    """Return Python's name of a charset, null where it is none."""
    name = (name or "").strip(" \"'").lower()
    try:
        codec = codecs.lookup(WIDER.get(name, name)).name
        b"a".decode(codec, "replace")  # base64 and its like are codecs too
    except (LookupError, ValueError):
        return None
    return None if codec in NO_CHARSETS else codec


def _meta_charset(content: bytes) -> str | None:
    found = META_CHARSET.search(content[:4096])
    return found[1].decode("ascii") if found else None


def _likely(content: bytes) -> str:
    if content.decode(errors="replace").count("\ufffd") * 200 < len(content):
        return "utf-8"  # with a few broken places
    from charset_normalizer import from_bytes

    best = from_bytes(content[: 2**15]).best()
    return best.encoding if best else "utf-8"


class _Process:
    """The process that extracts; it is started when first needed, and anew after it had to be stopped."""

    def __init__(self):
        self._lock, self._running = threading.Lock(), None
        atexit.register(self._stop)

    def extract(self, html: bytes, charset: str) -> str | None:
        """Ask twice where the process ends under the question, because it may have ended for a reason of its own."""
        with self._lock:
            for _ in range(2):
                try:
                    return self._ask(html, charset.encode())
                except TimeoutError:
                    self._stop()
                    return None
                except (BrokenPipeError, EOFError):
                    self._stop()
        return None

    def _ask(self, html: bytes, charset: bytes) -> str | None:
        process = self._started()
        deadline = time.monotonic() + SECONDS
        process.stdin.write(REQUEST.pack(len(charset), len(html)) + charset + html)
        process.stdin.flush()
        (size,) = ANSWER.unpack(_read(process, ANSWER.size, deadline))
        return None if size < 0 else _read(process, size, deadline).decode()

    def _started(self) -> subprocess.Popen:
        if self._running is None:
            path = os.pathsep.join(os.path.abspath(entry) for entry in sys.path)
            self._running = subprocess.Popen(
                [sys.executable, "-m", "operators.text.extract"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env={**os.environ, "PYTHONPATH": path},
            )
            try:
                _read(self._running, len(READY), time.monotonic() + START_SECONDS)
            except (EOFError, TimeoutError) as error:
                self._stop()
                raise ExtractorFailure("the HTML extractor did not start; `import trafilatura` tells why.") from error
        return self._running

    def _stop(self) -> None:
        process, self._running = self._running, None
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


def _serve() -> None:
    """Answer pages from standard input until it ends, which it also does when the reader is killed."""
    import logging
    import signal

    from trafilatura import extract as main_text

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
            text = main_text(decode(requests.read(html_size), charset), include_comments=False)
        except Exception:  # trafilatura and lxml raise of everything; a page without a text is what the caller hears of
            text = None
        answer = (text or "").strip().encode(errors="ignore")
        answers.write(ANSWER.pack(len(answer) or -1) + answer)
        answers.flush()


_process = _Process()

if __name__ == "__main__":
    _serve()
