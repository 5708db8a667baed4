"""Reading checkpoints of the paper's authors, and the errors for other files."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.authors.checkpoint import CheckpointError, read_checkpoint
from models.networks.frame_batch import FrameBatch
from tests.models.authors_files import OPTIONS, checkpoint_weights, write_checkpoint

Weights = dict[str, Tensor]


def test_every_weight_is_mapped_to_a_parameter(tmp_path: Path) -> None:
    weights = checkpoint_weights()
    write_checkpoint(tmp_path / "run", OPTIONS, {"epoch": 3, "model_state_dict": weights})
    networks = read_checkpoint(tmp_path / "run", 53)
    assert networks.config.network_size == 0.125
    state = networks.state_dict()
    for channel in (0, 7, 15):
        level = state["texture.levels.2"][:, channel : channel + 1]
        assert torch.equal(level, weights[f"module.texture.layer3.{channel}"])
    last = state["generator.unet.last.conv.weight"]
    assert torch.equal(last, weights["module.unet.up5.conv.2.weight"])
    total = sum(v.numel() for k, v in weights.items() if ".textures." not in k)
    assert sum(v.numel() for k, v in state.items() if "numbers_" not in k) == total


def test_images_of_any_size_divisible_by_32_are_rendered(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "run", OPTIONS, {"model_state_dict": checkpoint_weights()})
    networks = read_checkpoint(tmp_path / "run", 53)
    frame = FrameBatch(torch.rand(1, 96, 160, 2), torch.zeros(1, 0, 96, 160), torch.randn(1, 59))
    full = networks.full(frame)
    warped = networks.warp(full.cache, frame, frame)
    assert full.image.rgb.shape == warped.rgb.shape == (1, 3, 96, 160)


def changed(change: Callable[[Weights], Any]) -> Weights:
    weights = checkpoint_weights()
    change(weights)
    return weights


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda w: w.pop("module.unet.up2.conv.2.bias"),
            r"lacks module\.unet\.up2\.conv\.2\.bias, expected with shape \(64,\)",
        ),
        (
            lambda w: w.update({"module.mlp.0.weight": torch.zeros(32, 25)}),
            r"module\.mlp\.0\.weight must be \(32, 125\), got \(32, 25\)",
        ),
        (
            lambda w: w.update({"module.texture.layer2.3": torch.zeros(1, 1, 8, 16)}),
            r"module\.texture\.layer2\.3 must be \(1, 1, 16, 16\), got \(1, 1, 8, 16\)",
        ),
        (
            lambda w: w.update({"module.discriminator.0.weight": torch.zeros(1)}),
            "1 unknown keys, the first is 'discriminator.0.weight'",
        ),
        (
            lambda w: w.update({"module.texture.textures.1.layer1": torch.zeros(1, 1, 32, 32)}),
            r"textures\.1\.layer1 must equal module\.texture\.layer1\.1",
        ),
        (
            lambda w: w.update({"module.mlp.0.bias": torch.full((32,), torch.nan)}),
            r"mlp\.0\.bias must be a tensor of finite numbers",
        ),
    ],
)
def test_unexpected_weights_are_reported(
    tmp_path: Path, change: Callable[[Weights], Any], message: str
) -> None:
    write_checkpoint(tmp_path / "run", OPTIONS, {"model_state_dict": changed(change)})
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "run", 53)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cache_layer": 4}, "cache_layer must be 3, got 4"),
        ({"use_instance_norm": 1}, "use_instance_norm must be False, got 1"),
        ({"textureh": 16}, "textures must be square, got 32x16"),
        ({"network_size": None}, "network_size must be a number, got None"),
        ({"network_size": float("nan")}, "network_size must be from 0.015625 to 2, got nan"),
        ({"network_size": 1e9}, "network_size must be from 0.015625 to 2, got 1000000000.0"),
        ({"network_size": 1e-30}, "network_size must be from 0.015625 to 2, got 1e-30"),
        ({"network_size": 10**4000}, r"network_size must be from 0.015625 to 2, got 10{39}\.\.\.$"),
        ({"texture_dim": 0.5}, "texture_dim must be from 1 to 64, got 0.5"),
        ({"texturew": 4, "textureh": 4}, "texturew must be from 8 to 4096, got 4"),
        ({"texturew": 10**9, "textureh": 10**9}, "texturew must be from 8 to 4096"),
        ({"texturew": 4096, "textureh": 4096}, "holds no texture of the size in command"),
        ({"cache_layer": "x\x1b" * 100}, r"cache_layer must be 3, got (x\?){20}\.\.\.$"),
    ],
)
def test_unsupported_options_are_reported(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    write_checkpoint(tmp_path / "run", OPTIONS | options, {"model_state_dict": {}})
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(tmp_path / "run", 53)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 10_000, " " * 2_000_000])
def test_options_that_are_not_valid_json_are_reported(tmp_path: Path, text: str) -> None:
    write_checkpoint(tmp_path / "run", OPTIONS, {})
    (tmp_path / "run" / "commandline_args.txt").write_text(text)
    with pytest.raises(CheckpointError, match="not the JSON of a training's options: "):
        read_checkpoint(tmp_path / "run", 53)


def test_weights_that_share_memory_are_refused(tmp_path: Path) -> None:
    expanded = torch.zeros(1).expand(10**11)
    write_checkpoint(tmp_path / "a", OPTIONS, {"model_state_dict": {"a": expanded}})
    with pytest.raises(CheckpointError, match="a must be a tensor of finite numbers"):
        read_checkpoint(tmp_path / "a", 53)
    aliased = dict.fromkeys(map(str, range(100)), torch.zeros(100_000))
    write_checkpoint(tmp_path / "b", OPTIONS, {"model_state_dict": aliased})
    with pytest.raises(CheckpointError, match="its weights have more bytes than the file"):
        read_checkpoint(tmp_path / "b", 53)


@pytest.mark.parametrize(
    "saved", [torch.zeros(2).to_sparse(), torch.zeros(2, device="meta"), "text", None]
)
def test_weights_that_are_not_dense_tensors_are_refused(tmp_path: Path, saved: object) -> None:
    write_checkpoint(tmp_path / "run", OPTIONS, {"model_state_dict": {"a\n": saved}})
    with pytest.raises(CheckpointError, match=r"a\? must be a tensor of finite numbers"):
        read_checkpoint(tmp_path / "run", 53)


def test_compressed_records_are_refused(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "run", OPTIONS, {"model_state_dict": checkpoint_weights()})
    path = tmp_path / "run" / "checkpoints" / "best_val_psnr.tar"
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in records.items():
            archive.writestr(name, data)
    with pytest.raises(CheckpointError, match="expected records that are not compressed"):
        read_checkpoint(tmp_path / "run", 53)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}q\x00.", b"\0" * 1000])
def test_a_file_that_is_not_a_checkpoint_is_reported(tmp_path: Path, content: bytes) -> None:
    write_checkpoint(tmp_path / "run", OPTIONS, {})
    (tmp_path / "run" / "checkpoints" / "best_val_psnr.tar").write_bytes(content)
    with pytest.raises(CheckpointError, match="not a checkpoint of plain weights") as error:
        read_checkpoint(tmp_path / "run", 53)
    assert str(error.value).isprintable()


def test_a_folder_without_valid_options_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="not the JSON of a training's options"):
        read_checkpoint(tmp_path, 53)
    (tmp_path / "commandline_args.txt").write_text("[]")
    with pytest.raises(CheckpointError, match="must hold a JSON object, got list"):
        read_checkpoint(tmp_path, 53)


def test_a_checkpoint_that_pickles_code_is_refused(tmp_path: Path) -> None:
    module = torch.nn.Linear(1, 1)
    write_checkpoint(tmp_path / "run", OPTIONS, {"model_state_dict": module})
    with pytest.raises(CheckpointError, match="not a checkpoint of plain weights"):
        read_checkpoint(tmp_path / "run", 53)


def test_one_of_several_checkpoints_can_be_selected(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    write_checkpoint(folder, OPTIONS, {"model_state_dict": checkpoint_weights()})
    best = folder / "checkpoints" / "best_val_psnr.tar"
    best.rename(best.with_name("a.tar"))
    assert read_checkpoint(folder, 53).config.texture_size == 32
    (folder / "checkpoints" / "b.tar").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"a single \.tar, got a\.tar, b\.tar"):
        read_checkpoint(folder, 53)
    read_checkpoint(folder, 53, file=best.with_name("a.tar"))
