import math

import pytest
import torch

from operators.select.measure.gradients.projection import Projection

CPU = torch.device("cpu")
BLOCK = Projection(64, 0, CPU).block
MASK = 2**64 - 1


def split_mix(number: int) -> int:
    """SplitMix64 in Python's own integers."""
    number = ((number ^ (number >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    number = ((number ^ (number >> 27)) * 0x94D049BB133111EB) & MASK
    return number ^ (number >> 31)


def sign(seed: int, dimensions: int, coordinate: int, dimension: int) -> int:
    step, words = 0x9E3779B97F4A7C15, math.ceil(dimensions / 64)
    key = split_mix(seed * step & MASK)
    number = coordinate * words + dimension // 64 + 1
    return 1 if split_mix((number * step + key) & MASK) >> dimension % 64 & 1 else -1


@pytest.mark.parametrize(("seed", "dimensions"), [(0, 64), (7, 100), (2**40, 8192)])
def test_signs_are_the_bits_of_the_hash(seed, dimensions):
    signs = Projection(dimensions, seed, CPU).signs(1000, 1003)
    assert signs.shape == (3, dimensions)
    for coordinate in range(3):
        expected = [sign(seed, dimensions, 1000 + coordinate, dimension) for dimension in range(dimensions)]
        assert signs[coordinate].tolist() == expected


def test_signs_do_not_depend_on_the_block_they_are_made_in():
    projection = Projection(128, 3, CPU)
    whole = projection.signs(0, BLOCK).clone()
    assert torch.equal(projection.signs(17, 40), whole[17:40])
    assert not torch.equal(Projection(128, 4, CPU).signs(17, 40), whole[17:40])


def test_the_sum_over_blocks_is_one_product():
    projection = Projection(96, 0, CPU)
    vectors = torch.randn(5, 2 * BLOCK + 300, dtype=torch.float32)
    whole = torch.cat(
        [
            projection.signs(begin, min(begin + BLOCK, 2 * BLOCK + 300)).clone()
            for begin in range(0, 2 * BLOCK + 300, BLOCK)
        ]
    )
    into = torch.zeros(5, 96)
    projection.add(vectors, into)
    expected = vectors.double() @ whole.double()
    torch.testing.assert_close(into.double(), expected, rtol=1e-4, atol=1e-3)


def test_signs_are_balanced_and_rows_and_columns_are_unlike():
    signs = Projection(1024, 0, CPU).signs(0, 1024)
    assert abs(float(signs.mean())) < 4 / 1024
    for products in (signs @ signs.T / 1024, signs.T @ signs / 1024):
        others = products - torch.eye(1024)
        assert float(others.abs().max()) < 6 / math.sqrt(1024)
        assert float(others.square().mean()) == pytest.approx(1 / 1024, rel=0.02)


def test_inner_products_are_kept():
    """The error of a cosine has a standard deviation of about 1 / sqrt(dimensions)."""
    generator = torch.Generator().manual_seed(0)
    vectors = torch.randn(60, 5000, generator=generator)
    vectors[30:] = 0.7 * vectors[:30] + 0.7 * vectors[30:]
    vectors = torch.nn.functional.normalize(vectors)
    projected = torch.zeros(60, 4096)
    Projection(4096, 0, CPU).add(vectors, projected)
    errors = projected @ projected.T / 4096 - vectors @ vectors.T
    assert float(errors.abs().max()) < 5 / 64
    assert float(errors.square().mean().sqrt()) == pytest.approx(1 / 64, rel=0.25)
    assert abs(float(errors.mean())) < 1e-3
