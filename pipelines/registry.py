"""The pipelines there are. To add one, add its folder: the command line, `list` and `--help` take its entries from here."""

from pipelines import choose, compare, dynamics, measure, pack, pool, rephrase, score, select, train
from pipelines.run.entry import Entry

ROOMS = (rephrase, pack, score, train, dynamics, select, compare, pool, measure, choose)
PIPELINES: dict[str, Entry] = {name: entry for room in ROOMS for name, entry in room.ENTRIES.items()}
