"""What a Content-Type says, of several or listed ones too. Source: WHATWG Fetch, "extract a MIME type"."""

import re
from typing import NamedTuple

VALUE = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*"?)+', re.DOTALL)
TYPE = re.compile(r"\s*([\w!#$&^.+-]+/[\w!#$&^.+-]+)\s*(?:;(.*))?\s*\Z", re.DOTALL)
CHARSET = re.compile(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", re.IGNORECASE)


class MediaType(NamedTuple):
    """`mime` is empty where none can be told."""

    mime: str
    charset: str | None


def media_type(field: str) -> MediaType:
    """Return the last media type of a field that is one, with the charset that it or one like it before names."""
    mime, charset = "", None
    for value in VALUE.findall(field):
        found = TYPE.match(value)
        if found is None or found[1] == "*/*":
            continue
        named = CHARSET.search(found[2] or "")
        if named or found[1].lower() != mime:
            charset = named[1].lower() if named else None
        mime = found[1].lower()
    return MediaType(mime, charset)
