"""The maps are complete and true: each folder's `__init__.py` names what is in it, and the README names the folders."""

import ast
import re
from itertools import combinations
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TOPS = ("operators", "pipelines", "cluster")
LINE = re.compile(r"^ *(\w+(?:\.py|/)) {2,}\S", re.MULTILINE)  # `name.py   phrase` or `name/   phrase`
NAMED = re.compile(r"`((?:operators|pipelines)/(?:\w+/)*)`")
MOST_FILES = 13  # in a folder that is no contract with many who keep it


def is_room(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(("_", ".")) and any(path.rglob("*.py"))


def rooms(path: Path) -> list[Path]:
    """Give a folder and all below it that hold code."""
    return [path, *(room for below in sorted(filter(is_room, path.iterdir())) for room in rooms(below))]


def files(room: Path) -> list[str]:
    return sorted(path.name for path in room.glob("*.py") if path.name != "__init__.py")


def told(room: Path) -> str:
    """Give the docstring of a folder."""
    init = room / "__init__.py"
    return (
        ast.get_docstring(ast.parse(init.read_text(encoding="utf-8")) if init.is_file() else ast.Module([], [])) or ""
    )


ROOMS = [room for top in TOPS for room in rooms(ROOT / top)]


def named(room: Path) -> str:
    return str(room.relative_to(ROOT))


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_a_folder_says_what_is_in_it_a_line_each(room):
    there = [*files(room), *(f"{below.name}/" for below in room.iterdir() if is_room(below))]
    lines = LINE.findall(told(room))
    init = f"the docstring of {named(room)}/__init__.py"
    missing, gone = sorted(set(there) - set(lines)), sorted(set(lines) - set(there))
    assert not missing, (
        f"{init} wants a line `{missing[0]}   what it is` (name, two blanks or more, a phrase) for {missing}"
    )
    assert not gone, (
        f"{init} has a line for {gone}, which {named(room)}/ does not hold: take it away, or correct the name"
    )
    assert len(lines) == len(set(lines)), f"{init} names something twice: {lines}"


def test_the_readme_names_the_folders_there_are():
    section = (
        (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## Where things are\n")[2].partition("\n## ")[0]
    )
    lines = {f"{folder}" for line in section.splitlines() if line.startswith("|") for folder in NAMED.findall(line)}
    expected = {f"{named(room)}/" for room in ROOMS if room.parts[len(ROOT.parts)] != "cluster"}
    near = {folder for folder in expected if folder.count("/") <= 3}
    missing, gone = sorted(near - lines), sorted(lines - expected)
    assert not missing, (
        f"README.md, `Where things are`, wants a line ``| `{missing[0]}` | what is in it |`` for {missing}"
    )
    assert not gone, f"README.md, `Where things are`, names {gone}, which are not there"


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_a_folder_is_seen_at_a_glance(room):
    if "base.py" not in files(room):
        count = len(files(room))
        assert count <= MOST_FILES, (
            f"{named(room)}/ holds {count} files, {MOST_FILES} at most: give some a folder of their own"
        )


@pytest.mark.parametrize("room", ROOMS, ids=named)
def test_no_two_names_of_a_folder_differ_by_a_suffix_alone(room):
    stems = sorted(
        [name.removesuffix(".py") for name in files(room)] + [below.name for below in room.iterdir() if is_room(below)]
    )
    alike = [(one, other) for one, other in combinations(stems, 2) if other.startswith(one) or one.startswith(other)]
    assert not alike, f"{named(room)}/ holds names that begin alike, {alike}: call each by what only it does"
