import math

import pytest
import torch
from torch import nn

from operators.learn.training.config import OptimizerConfig
from operators.learn.training.optimizer import build_optimizer, mean_and_clip


def test_norms_and_biases_do_not_decay():
    model = nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4))
    optimizer = build_optimizer(model, OptimizerConfig(weight_decay=0.3))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert [decay[id(p)] for p in model.parameters()] == [0.3, 0, 0, 0]


@pytest.mark.parametrize(("total", "norm", "left"), [(1, 5, 1), (10, 0.5, 0.5), (5, 1, 1)])
def test_the_gradient_is_divided_first_and_clipped_then(total, norm, left):
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    assert mean_and_clip([parameter], total, clip=1.0) == pytest.approx(norm)
    assert parameter.grad.norm().item() == pytest.approx(left)
    assert torch.allclose(parameter.grad / parameter.grad.norm(), torch.tensor([0.6, 0.8]))


def test_the_norm_is_that_of_all_parameters_together():
    parameters = [nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))]
    for parameter, value in zip(parameters, (3.0, 4.0), strict=False):
        parameter.grad = torch.tensor([value])
    assert mean_and_clip(parameters, 1.0, clip=2.5) == pytest.approx(5)
    assert [p.grad.item() for p in parameters[:2]] == [1.5, 2.0]


def test_a_gradient_that_is_no_number_is_left_as_it_is():
    parameter = nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([math.inf, 4.0])
    assert mean_and_clip([parameter], 2.0, clip=1.0) == math.inf
    assert parameter.grad[1] == 4
