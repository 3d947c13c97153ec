"""How several runs settle on one value with nothing but plain reads, writes and listings.

Disk Paxos (Gafni and Lamport, Distributed Computing 16, 2003) with one disk. Each contender has a file of its own, so no
write ever meets another: no conditional put, no rename and no lock is needed, and none that a store may lack.
Whoever may die at any step, all who come to an end give the same value.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from operators.storage.place import Place

Ballot = tuple[int, str]  # a number, and who drew it
NONE: Ballot = (0, "")


class Block(NamedTuple):
    """What a contender has said: the ballot that it takes part in, and the last one in which it stood for a value."""

    joined: Ballot = NONE
    voted: Ballot = NONE
    value: str | None = None


def agree(place: Place, folder: str, me: str, mine: str, rest: Callable[[], None]) -> str:
    """Propose a value and give the one that all contenders of this folder agree on, mine or another's.

    `me` is unique to this call. `rest` is called after a lost ballot; it should take a random while, so that two contenders do
    not get in each other's way for ever.
    """
    number, said = 0, Block()
    while True:
        number += 1
        ballot = (number, me)
        said = said._replace(joined=ballot)
        others = _say(place, folder, said)
        if not _beaten(ballot, others):
            voted = max([said, *others], key=lambda block: block.voted)
            said = Block(ballot, ballot, mine if voted.value is None else voted.value)
            others = _say(place, folder, said)
            if not _beaten(ballot, others):
                return said.value
        number = max(block.joined[0] for block in others)
        rest()


def _say(place: Place, folder: str, block: Block) -> list[Block]:
    """Write down what I say, then hear what the others do. The order of the two is what makes it safe."""
    me = block.joined[1]
    place.publish(f"{folder}/{me}.json", json.dumps(block).encode())
    others = [name for name in place.names(folder) if name != f"{folder}/{me}.json"]
    return [_block(content) for content in place.read_all(others)]


def _block(content: bytes) -> Block:
    joined, voted, value = json.loads(content)
    return Block(tuple(joined), tuple(voted), value)


def _beaten(ballot: Ballot, others: list[Block]) -> bool:
    return any(block.joined > ballot for block in others)
