"""Which files of a folder are documents, and why the others are not. Only names are looked at."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field

ARTIFACT = "/_gristmill/epochs/"  # marks an artifact of ours, whose documents are in data/*.parquet
NAMED = 3  # files of a kind, in what is said of them

HIDDEN, ABOUT, MADE, UNKNOWN = "hidden", "about the data", "kept beside the data", "of no known format"

# Files of a repository of the hub, or of what the library `datasets` has saved, that mark it as such.
MARKS = (".gitattributes", "readme.md", "dataset_infos.json", "dataset_info.json", "dataset_dict.json", "state.json")
SAVED = ("dataset_info.json", "state.json")  # beside the Arrow files of a data set
ABOUT_DATA = re.compile(
    r"(?:readme|licen[cs]e|copying|notice|citation|authors|changelog|contributing|code_of_conduct|security)(?:[-_][^.]*)?"
    r"(?:\.(?:md|txt|rst|html|json|cff))?"
    r"|dataset_infos?\.json|dataset_dict\.json|state\.json|croissant\.json|requirements.*\.txt|package(?:-lock)?\.json"
    r"|(?:.*[-_.])?config\.json|.*\.index\.json|merges\.txt|(?:added_tokens|special_tokens_map|tokenizer|vocab)\.json"
)
CACHED = re.compile(r"(?:cache-|tmp|indices).*\.arrow")  # what `datasets` has made of the data, and would make again


@dataclass
class Sifted:
    """The names that are kept, and those that are left out, by the reason for that."""

    kept: list[str]
    left_out: dict[str, list[str]] = field(default_factory=dict)

    def leave(self, why: str, names: Iterable[str]) -> None:
        """Leave out some of the names."""
        gone = set(names)
        self.left_out[why] = [*self.left_out.get(why, []), *(name for name in self.kept if name in gone)]
        self.kept = [name for name in self.kept if name not in gone]


def sift(names: Collection[str], readable: Callable[[list[str]], list[str]]) -> Sifted:
    """Keep the names of documents: of what is `readable` nothing hidden, and nothing that a data set has beside its data.

    Of an artifact of ours its data alone counts. Where nothing else is there, what seems to be beside the data is the data; and
    where nothing at all is readable, all names are kept, to be told of.
    """
    artifacts = {f"/{name}".partition(ARTIFACT)[0] for name in names if ARTIFACT in f"/{name}"}
    sifted = Sifted([name for name in names if _is_data(f"/{name}", artifacts)])
    marked = {_folder(name) for name in sifted.kept if _base(name) in MARKS}
    saved = {_folder(name) for name in sifted.kept if _base(name) in SAVED}
    sifted.leave(HIDDEN, filter(_is_hidden, sifted.kept))
    beside = {name: ABOUT for name in sifted.kept if ABOUT_DATA.fullmatch(_base(name)) and marked & set(_folders(name))}
    beside |= {name: MADE for name in sifted.kept if CACHED.fullmatch(_base(name)) and _folder(name) in saved}
    if readable([name for name in sifted.kept if name not in beside]):
        for why in (ABOUT, MADE):
            sifted.leave(why, (name for name, reason in beside.items() if reason == why))
    if data := readable(sifted.kept):
        sifted.leave(UNKNOWN, set(sifted.kept) - set(data))
    return sifted


def told(left_out: dict[str, list[str]]) -> str:
    """Say how many files are left out, and name some."""
    return "; ".join(
        f"{len(names):,} {why} ({', '.join(sorted(names)[:NAMED])}{', ...' if len(names) > NAMED else ''})"
        for why, names in left_out.items()
        if names
    )


def _is_data(name: str, artifacts: set[str]) -> bool:
    for root in artifacts:
        if name.startswith(f"{root}/"):
            return name.startswith(f"{root}/data/") and name.endswith(".parquet")
    return True


def _is_hidden(name: str) -> bool:
    """Tell whether a name, or a folder in it, is hidden; no partition is, whatever its column is called."""
    *folders, base = name.split("/")
    return base.startswith((".", "_")) or any(
        folder.startswith(".") or (folder.startswith("_") and "=" not in folder) for folder in folders
    )


def _base(name: str) -> str:
    return name.rpartition("/")[2].lower()


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _folders(name: str) -> Iterator[str]:
    """Give the folder that a name is in, and all that this one is in."""
    while name:
        name = _folder(name)
        yield name
