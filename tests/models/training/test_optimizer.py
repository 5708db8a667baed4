import pytest
import torch

from models.networks.avatar_networks import NetworkConfig, build_networks
from models.training.optimizer import Rates, Schedule, build_optimizer, set_rates


def test_the_cosine_schedule_rises_and_then_falls_to_its_floor() -> None:
    schedule = Schedule(warm_up=0.1, floor=0.02)
    assert schedule.share(0) == pytest.approx(0.05)
    assert schedule.share(0.05) == pytest.approx(0.525)
    assert schedule.share(0.1) == pytest.approx(1)
    assert schedule.share(0.55) == pytest.approx(0.51)
    assert schedule.share(1) == pytest.approx(0.02)


def test_milestones_equal_those_of_the_paper() -> None:
    schedule = Schedule(kind="milestones", warm_up=5 / 150)
    shares = [schedule.share(epoch / 150) for epoch in (5, 49, 50, 99, 100, 150)]
    assert shares == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert Schedule(warm_up=0).share(0) == 1


def test_texture_levels_have_their_own_rates_and_decay() -> None:
    networks = build_networks(NetworkConfig("live", 0.0625, texture_size=64, expressions=4))
    rates = Rates(1e-3, (4e-3, 2e-3), (1e-2, 1e-3, 0.0), schedule=Schedule(warm_up=0))
    optimizer = build_optimizer(networks, rates)
    set_rates(optimizer, rates.schedule, 0.0)
    groups = optimizer.param_groups
    assert [group["lr"] for group in groups] == [4e-3, 2e-3, 2e-3, 2e-3] * 2 + [1e-3]
    assert [group["weight_decay"] for group in groups] == [1e-2, 1e-3, 0, 0] * 2 + [0]
    levels = [level for texture in networks.textures for level in texture.levels]
    for group, level in zip(groups[:-1], levels, strict=True):
        assert group["params"][0] is level
    parameters = [p for group in groups for p in group["params"]]
    assert {id(p) for p in parameters} == {id(p) for p in networks.parameters()}
    set_rates(optimizer, rates.schedule, 1.0)
    assert groups[0]["lr"] == pytest.approx(4e-5)
    assert isinstance(optimizer, torch.optim.Adam)


def test_empty_lists_of_rates_are_refused() -> None:
    with pytest.raises(ValueError, match="must have at least one value each"):
        Rates(texture=())
