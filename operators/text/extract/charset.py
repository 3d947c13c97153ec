"""The encoding of a page: what it says of itself, what the server said, and what it most likely is."""

import codecs
import re

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
