"""The choice between operators and a CUDA graph for full renders; CUDA graphs need a GPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.networks.generator import GeneratorOutput
from models.runtime.measured_unet import MeasuredUnet, fastest


class Doubling(nn.Module):
    def forward(self, features: Tensor) -> GeneratorOutput:
        return GeneratorOutput(features * 2, features, features)


def test_the_fastest_method_is_chosen_and_of_equal_ones_the_plain_one() -> None:
    assert fastest({"operators": 1.4, "graph": 0.9}) == "graph"
    assert fastest({"operators": 0.9, "graph": 1.4}) == "operators"
    assert fastest({"operators": 1.0, "graph": 1.0}) == "operators"


def test_without_a_gpu_the_u_net_runs_operator_by_operator() -> None:
    unet = MeasuredUnet(Doubling())
    features = torch.ones(1, 2, 4, 4)
    first, second = unet(features).output, unet(features * 3).output
    assert torch.equal(first, features * 2)
    assert torch.equal(second, features * 6)


def test_only_images_of_the_first_size_run_as_a_graph(monkeypatch: pytest.MonkeyPatch) -> None:
    def graph(features: Tensor) -> GeneratorOutput:
        return GeneratorOutput(features * 5, features, features)

    monkeypatch.setattr(MeasuredUnet, "_choose", lambda unet, features: graph)
    unet = MeasuredUnet(Doubling())
    small, large = torch.ones(1, 2, 4, 4), torch.ones(1, 2, 8, 8)
    factors = [unet(features).output.mean().item() for features in (small, large, small)]
    assert factors == [5, 2, 5]
