"""Where everything of an artifact lies, and which files are a run's own."""

import re

from operators.storage.place import Place

RECORDS = "_gristmill"
CARD = "README.md"
DIGESTED = r"[^/]+-[0-9a-f]{16}(-[^/]+)?"  # the name of an artifact that has the digest of its run in it
EPOCHS, HEADS, COMMITS, CATALOGUE = (f"{RECORDS}/{name}" for name in ("epochs", "heads", "commits", "catalogue"))
STAGES = f"{RECORDS}/stages.json"  # what a run needs first, for people
FOLDERS = ("data", "rejected")  # of parts that are tables
CHECKPOINTS = "checkpoints"  # of parts that are a model's files, each model in a folder of its own
# What a run writes; nothing else is ever removed. The first number of eight digits is the epoch.
TABLE = re.compile(r"(data|rejected)/(?:[\w.-]+/)?part-(\d{8})-[0-9a-f]{32}\.(parquet|arrow)")
MODEL_FILE = re.compile(CHECKPOINTS + r"/run-(\d{8})-step-\d{8,}/[^/]+")


def epoch_files(place: Place) -> list[str]:
    """Name the files of the epochs; what else may lie there is not ours."""
    return [name for name in place.names(EPOCHS) if re.fullmatch(r"\d{8}\.json", name.rpartition("/")[2])]


def is_part(name: str) -> bool:
    """Whether a file has a name as runs give them to parts."""
    return bool(TABLE.fullmatch(name) or MODEL_FILE.fullmatch(name))


def files_of_parts(place: Place) -> tuple[list[str], list[str]]:
    """Name the files that lie where parts do, and those of them that were being written when their writer was killed."""
    folders = [*FOLDERS, *(inner for folder in (*FOLDERS, CHECKPOINTS) for inner in place.folders(folder))]
    there = [name for folder in folders for name in place.names(folder)]
    return there, [name for folder in folders for name in place.leftovers(folder)]


def epoch_of(name: str) -> int:
    """Give the number of the epoch in which a file was written."""
    return int(re.search(r"(?<!\d)\d{8}(?!\d)", name)[0])


def epoch_file(number: int) -> str:
    return f"{EPOCHS}/{number:08}.json"


def head_file(number: int) -> str:
    return f"{HEADS}/{number:08}.json"


def beats_file(number: int) -> str:
    return f"{RECORDS}/beats/{number:08}.json"


def commits_folder(number: int) -> str:
    return f"{COMMITS}/{number:08}"
