"""The torso of a head without a collar continues its neck."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.capture.build_head import build_head
from models.capture.face_model import average_identity
from models.capture.shape_space import BASE, load_shape_space
from models.heads.source import above_collar
from models.studio.materials import MATERIALS


@pytest.fixture(scope="module")
def arrays() -> dict[str, NDArray[Any]]:
    space = load_shape_space()
    return build_head(space, average_identity(space), "short")


def edge_vertices(faces: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return the vertices at edges that belong to a single triangle."""
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    on_edge: NDArray[np.int64] = np.unique(unique[count == 1])
    return on_edge


def rim_of_the_neck(arrays: dict[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the vertices at the lower edge of the skin."""
    rim = edge_vertices(arrays["faces"][arrays["materials"] == MATERIALS.index("skin")])
    near = np.abs(above_collar(arrays["neutral"][rim].astype(np.float64), BASE)) < 0.02
    lower: NDArray[np.int64] = rim[near & (arrays["neutral"][rim, 1] < -0.1)]
    return lower


def test_skin_and_cloth_share_an_edge_around_the_neck_and_move_alike(
    arrays: dict[str, NDArray[Any]],
) -> None:
    rim = rim_of_the_neck(arrays)
    cloth = np.unique(arrays["faces"][arrays["materials"] == MATERIALS.index("cloth")])
    longitude_deg = np.degrees(
        np.arctan2(arrays["neutral"][rim, 0], arrays["neutral"][rim, 2] + 0.085)
    )
    assert np.histogram(longitude_deg, bins=12, range=(-180, 180))[0].min() > 0
    distance, nearest = cKDTree(arrays["neutral"][cloth]).query(arrays["neutral"][rim])
    # Vertices of the rim lie up to 1 cm below the plane, where smoothing begins.
    assert distance.max() < 5e-4
    counterpart = cloth[nearest]
    np.testing.assert_array_equal(arrays["weights"][counterpart], arrays["weights"][rim])
    np.testing.assert_array_equal(arrays["deltas"][:, counterpart], arrays["deltas"][:, rim])
