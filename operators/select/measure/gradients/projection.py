"""Random projection of long vectors by a matrix of signs that is never there as a whole.

The sign of coordinate p and dimension d is a bit of a hash of (seed, p, d): a counter-based generator, so any block of the matrix
can be made anywhere, in any order, and is the same on any device. A block is made in memory that is used again, by looking up
16 signs at once, and serves all vectors of a batch in one matrix product. Making a sign takes about as long as 40 FLOPs of that
product on a processor, so with some dozens of vectors the product is what it costs.
Sources: Johnson-Lindenstrauss with signs, Achlioptas 2003; SplitMix64, Steele et al. 2014.

Shapes: E vectors of P coordinates, D dimensions, W words of 64 signs, b coordinates of a block.
"""

import torch
from torch import Tensor

BLOCK = {"cpu": 2**10, "cuda": 2**14}  # coordinates whose signs are there at once
STEP, FIRST, SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB  # of SplitMix64
AT_ONCE = 16  # signs of one look-up


class Projection:
    """Project to `dimensions` by independent signs, each +1 or -1; lengths grow by about sqrt(dimensions)."""

    def __init__(self, dimensions: int, seed: int, device: torch.device):
        self.dimensions, self.words, self.device = dimensions, -(-dimensions // 64), device
        self.key = _mixed(torch.tensor([seed]) * _signed(STEP)).item()
        bits = torch.arange(2**AT_ONCE)[:, None] >> torch.arange(AT_ONCE) & 1
        self.table = (2.0 * bits - 1).to(device)
        self.block = BLOCK.get(device.type, BLOCK["cuda"])
        self._signs = torch.empty(self.block * self.words * 64 // AT_ONCE, AT_ONCE, device=device)

    def add(self, vectors_EP: Tensor, into_ED: Tensor) -> None:
        """Add the projections of float32 vectors."""
        for begin in range(0, vectors_EP.shape[1], self.block):
            part_Eb = vectors_EP[:, begin : begin + self.block]
            into_ED.addmm_(part_Eb, self.signs(begin, begin + part_Eb.shape[1]))

    def signs(self, begin: int, end: int) -> Tensor:
        """Give the signs of a block of coordinates: float32 (b, D), up to `block` of them, in memory that the next call uses."""
        numbers = torch.arange(begin * self.words + 1, end * self.words + 1, device=self.device)
        halves = _mixed(numbers * _signed(STEP) + self.key).view(torch.int16)
        rows = halves.to(torch.int32).bitwise_and_(2**AT_ONCE - 1)
        signs = self._signs[: len(rows)]
        torch.index_select(self.table, 0, rows, out=signs)
        return signs.view(end - begin, self.words * 64)[:, : self.dimensions]


def _mixed(numbers: Tensor) -> Tensor:
    """Hash 64 bits, as int64: SplitMix64's last steps."""
    numbers = (numbers ^ _shifted(numbers, 30)) * _signed(FIRST)
    numbers = (numbers ^ _shifted(numbers, 27)) * _signed(SECOND)
    return numbers ^ _shifted(numbers, 31)


def _shifted(numbers: Tensor, bits: int) -> Tensor:
    """Shift to the right without the sign."""
    return numbers >> bits & (2 ** (64 - bits) - 1)


def _signed(number: int) -> int:
    return number - 2**64 if number >= 2**63 else number
