"""Real English prose that is on every machine: the documentation strings of Python's own standard library."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

NOT_THE_LIBRARY = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "turtledemo"}
PROSE = re.compile(r"[A-Z][\w ,.;:'\"()/=`*-]*[.]", re.ASCII)
FEWEST_WORDS, MOST_WORDS = 12, 100
PLAIN_SHARE = 0.8  # of the words of a paragraph; the rest may be names, numbers and signs


def docstrings() -> Iterator[dict[str, str]]:
    """Yield paragraphs of prose as {"id", "text"}, each text once, in an order that depends on the library alone.

    The files are parsed, no module is imported. Takes a few seconds.
    """
    seen = set()
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        name = path.relative_to(library)
        if not NOT_THE_LIBRARY & set(name.parts):
            for number, text in enumerate(_paragraphs(ast.parse(path.read_bytes()))):
                if text not in seen:
                    seen.add(text)
                    yield {"id": f"{name.as_posix()}#{number}", "text": text}


def _paragraphs(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            for paragraph in re.split(r"\n\s*\n", ast.get_docstring(node) or ""):
                if _is_prose(paragraph):
                    yield " ".join(paragraph.split())


def _is_prose(paragraph: str) -> bool:
    """Tell a paragraph of sentences from a signature, a table, an example or a list of options."""
    if re.search(r"\n\s", paragraph) or not PROSE.fullmatch(" ".join(paragraph.split())):
        return False
    words = paragraph.split()
    plain = sum(word.rstrip(",.;:").isalpha() for word in words)
    return FEWEST_WORDS <= len(words) <= MOST_WORDS and plain >= PLAIN_SHARE * len(words)
