"""A small head, states of it, and avatars of both variants with random weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import pi
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from models.avatar.folder import Avatar
from models.avatar.manifest import Manifest
from models.contract.frame_state import FrameState, neutral_state
from models.geometry.head import Head
from models.networks.avatar_networks import NetworkConfig, Variant, build_networks
from models.training.initialization import initialize
from tests.models import interpreter  # noqa: F401 - before any test imports triton

EYE = (0.0, 0.0, 0.8)
FOV = 0.5
SIZE = 64


@pytest.fixture(scope="session")
def ball() -> Head:
    """A sphere of radius 10 cm with one blend shape, and parts that follow jaw, eyes and body."""
    mesh = trimesh.creation.icosphere(subdivisions=3, radius=0.1)
    neutral = np.asarray(mesh.vertices, np.float32)
    longitude = np.arctan2(neutral[:, 0], neutral[:, 2]) / (2 * pi) + 0.5
    latitude = np.arccos(np.clip(neutral[:, 1] / 0.1, -1, 1)) / pi
    weights = np.zeros((len(neutral), 5), np.float32)
    weights[:, 1] = 1
    low = neutral[:, 1] < -0.07
    weights[low] = [1, 0, 0, 0, 0]
    jaw = (neutral[:, 1] < -0.02) & ~low
    weights[jaw] = [0, 0, 1, 0, 0]
    for joint, side in ((3, 1), (4, -1)):
        weights[(neutral[:, 0] * side > 0.06) & ~low & ~jaw] = np.eye(5)[joint]
    names = ("jawOpen", "eyeLookOutLeft", "eyeLookUpRight", "stretch")
    deltas = np.zeros((4, len(neutral), 3), np.float32)
    deltas[3, :, 1] = neutral[:, 1] * 0.3
    return Head(
        neutral=neutral,
        faces=np.asarray(mesh.faces, np.int32),
        uvs=np.stack([longitude, latitude], axis=1).astype(np.float32),
        uv_faces=np.asarray(mesh.faces, np.int32),
        expression_names=names,
        deltas=deltas.reshape(4, -1),
        joint_positions=np.array(
            [[0, -0.1, 0], [0, 0, 0], [0, -0.02, 0], [0.08, 0, 0], [-0.08, 0, 0]], np.float32
        ),
        weights=weights,
        eye_yaw_rad=0.5,
        eye_pitch_rad=0.4,
        jaw_open_axis=np.array([0.3, 0, 0], np.float32),
    )


@pytest.fixture(scope="session")
def front() -> FrameState:
    """The neutral ball from the front."""
    return neutral_state(4, EYE, FOV)


@pytest.fixture(scope="session")
def turned(front: FrameState) -> FrameState:
    """The ball turned, stretched and seen from the side."""
    return replace(
        front,
        head_rotation=np.array([0.05, 0.2, 0.02, 0.98], np.float32),
        head_translation=np.array([0.02, -0.01, 0.03], np.float32),
        expression=np.array([0.5, 0.3, 0.2, 0.6], np.float32),
        eye_position=np.array([0.1, 0.05, 0.75], np.float32),
        eye_rotation=np.array([-0.03, 0.07, 0, 0.997], np.float32),
    )


@pytest.fixture(scope="session")
def build_avatar(ball: Head) -> Callable[..., Avatar]:
    """Build avatars with random weights, such that every part of the networks has an effect."""

    def build(variant: Variant, network_size: float = 0.125) -> Avatar:
        torch.manual_seed(1)
        config = NetworkConfig(
            variant,
            network_size,
            texture_size=64,
            feature_size=32,
            texture_levels=2,
            expressions=4,
        )
        networks = build_networks(config)
        initialize(networks)
        for parameter in networks.parameters():
            parameter.data += 0.03 * torch.randn_like(parameter)
        manifest = Manifest(
            id="ball",
            name="Ball",
            resolution=SIZE,
            expression_names=ball.expression_names,
            vertex_count=len(ball.neutral),
            triangle_count=len(ball.faces),
            eye_position=EYE,
            fov_y_rad=FOV,
            licence="CC0-1.0",
            origin="made for tests",
            network=config,
        )
        random = np.random.default_rng(2)
        background = random.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
        return Avatar(manifest, ball, networks.eval().requires_grad_(False), background)

    return build


def write_head(head: Head, path: Path) -> None:
    """Write a head file as `scripts/bake_head.py` does."""
    names = np.array(["body", "head", "jaw", "eyeLeft", "eyeRight"])
    fields = ("neutral", "faces", "uvs", "uv_faces", "joint_positions", "weights")
    np.savez(
        path,
        **{name: getattr(head, name) for name in (*fields, "jaw_open_axis")},
        expression_names=np.array(head.expression_names),
        deltas=head.deltas.reshape(len(head.deltas), -1, 3),
        joint_names=names,
        eye_yaw_rad=np.array(head.eye_yaw_rad),
        eye_pitch_rad=np.array(head.eye_pitch_rad),
    )
