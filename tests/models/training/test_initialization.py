"""Training from the weights of another avatar: those that fit are used, the others are listed."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.avatar.folder import Avatar, save_avatar
from models.networks.avatar_networks import NetworkConfig, TelewarpNetworks, Variant, build_networks
from models.training.initialization import InitializationError, load_initial_weights


@pytest.fixture
def avatar(build_avatar: Callable[[Variant], Avatar], tmp_path: Path) -> Avatar:
    built = build_avatar("live")
    save_avatar(tmp_path, built)
    return built


def test_all_weights_of_a_saved_avatar_are_used_with_its_texture_as_a_pyramid(
    avatar: Avatar, tmp_path: Path
) -> None:
    config = replace(avatar.networks.config, texture_levels=3)  # saved with one level, made of two
    networks = build_networks(config)
    assert isinstance(networks, TelewarpNetworks)
    taken = load_initial_weights(networks, tmp_path)
    assert taken.left == ()
    assert "features.levels.2" in taken.taken
    saved = load_file(tmp_path / "weights.safetensors")
    texels = networks.features.texels()
    torch.testing.assert_close(texels, saved["features.levels.0"].float(), atol=1e-5, rtol=0)
    # Coarse levels hold the coarse features: the mean of the finest over 4x4 texels is small.
    fine = torch.nn.functional.avg_pool2d(networks.features.levels[0], 4)
    assert fine.abs().mean() < 0.3 * networks.features.levels[0].abs().mean()
    for name, value in networks.state_dict().items():
        if ".levels." not in name:
            torch.testing.assert_close(value, saved[name].float())


def test_weights_that_do_not_fit_are_unchanged_and_listed(avatar: Avatar, tmp_path: Path) -> None:
    networks = build_networks(replace(avatar.networks.config, expressions=7))
    assert isinstance(networks, TelewarpNetworks)
    before = networks.warper.motion.linear.weight.clone()
    taken = load_initial_weights(networks, tmp_path)
    assert taken.left == ("warper.motion.linear.weight",)
    assert torch.equal(networks.warper.motion.linear.weight, before)
    assert str(taken).endswith("weights taken; fresh: warper.motion.linear.weight")


def test_weights_with_nothing_in_common_are_refused(avatar: Avatar, tmp_path: Path) -> None:
    save_file({"of.something.else": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(
        InitializationError, match="expected weights of these networks, got none that fits"
    ):
        load_initial_weights(build_networks(avatar.networks.config), tmp_path)


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    networks = build_networks(NetworkConfig("live", 0.0625, texture_size=64))
    with pytest.raises(InitializationError, match="not a readable weights file"):
        load_initial_weights(networks, tmp_path / "nowhere")
