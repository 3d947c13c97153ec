"""Where a JSON value ends, found without parsing it: brackets and strings are enough."""

import re

from operators.storage.base import MAX_RECORD
from operators.storage.window import Window

AHEAD = 2**12  # bytes that are looked at before more are asked for
BLANK = rb"[ \t\r\n]*+"
STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
# A bracket that opens, one that closes, a string with what may follow one, or a quote that begins none.
TOKEN = re.compile(rb"([\[{])|([\]}])|" + STRING + BLANK + rb'(?=[,:\]}])|(")', re.DOTALL)
OPENS, CLOSES, QUOTES = 1, 2, 3
CUT = re.compile(
    rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:\\|"' + BLANK + rb")?\Z", re.DOTALL
)  # a string of which the rest is to come
SCALAR = re.compile(rb"(?:" + STRING + rb'|[^\s,:\[\]{}"]++)(?=[ \t\r]*+(?:[,\]}\n\x1e]|\Z))', re.DOTALL)
CLOSED_BY = {b"{": b"}", b"[": b"]"}


class NoValue(ValueError):
    """No JSON value stands there, or none that ends."""


class Unclosed(NoValue):
    """The stream is over before the value is."""


def value_end(window: Window, hold: bool = True, inside: bytes = b"") -> int:
    """Return how far ahead the value ends that is next, or the one that is open, where the window is `inside` of its bracket.

    The value may be no valid JSON in its small parts. Without `hold` what was seen is skipped, so that a value of any size can be
    passed over; how far ahead is counted from where the window is then. Raises NoValue as soon as brackets and strings cannot be
    JSON, or where there are more than MAX_RECORD bytes to be held.
    """
    window.fill(AHEAD)
    if not inside and window.bytes(0, 1) not in CLOSED_BY:
        return _scalar_end(window)
    open_ones = [inside] if inside else []
    at = 0  # up to where all is understood
    while True:
        for token in window.finditer(TOKEN, at):
            kind = token.lastindex
            if kind == OPENS:
                if (
                    open_ones
                    and open_ones[-1] == b"{"
                    and window.bytes(at, window.ahead(token.start())).strip() != b":"
                ):
                    raise NoValue("a bracket opens where a key of an object belongs")
                open_ones.append(token[OPENS])
            elif kind == CLOSES:
                if CLOSED_BY[open_ones.pop()] != token[CLOSES]:
                    raise NoValue("a bracket closes that is not open")
                if not open_ones:
                    return window.ahead(token.end())
            elif kind == QUOTES:
                if window.match(CUT, window.ahead(token.start())):
                    break
                raise NoValue("a string is not followed by what may follow one")
            at = window.ahead(token.end())
        if not hold:
            window.skip(at)
            at = 0
        if at > MAX_RECORD or (held := window.held()) > 2 * MAX_RECORD:
            raise NoValue(f"it has more than {MAX_RECORD} bytes")
        if window.fill(2 * held + 1) == held:
            raise Unclosed("it is not closed")


def _scalar_end(window: Window) -> int:
    held = window.held()
    while True:
        found = window.match(SCALAR)
        if found and window.ahead(found.end()) < held:
            return window.ahead(found.end())
        may_go_on = found or window.match(CUT)
        if not may_go_on or held > MAX_RECORD or window.fill(2 * held + 1) == held:
            break
        held = window.held()
    if found is None:
        raise NoValue("no value stands there")
    return window.ahead(found.end())
