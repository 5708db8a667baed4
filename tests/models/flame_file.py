"""FLAME files with random values in the layout of the real ones: Python 2 pickles and npz."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import trimesh
from numpy.typing import NDArray

COMPONENTS = 400


def flame_arrays(components: int = COMPONENTS) -> dict[str, NDArray[Any]]:
    """Return the arrays: an ellipsoid with two eyeballs, random shapes, expressions and joints."""
    random = np.random.default_rng(3)
    skull = trimesh.creation.icosphere(subdivisions=3, radius=1)
    balls = [trimesh.creation.icosphere(subdivisions=1, radius=0.012) for _ in range(2)]
    verts = [skull.vertices * [0.075, 0.115, 0.095]]
    verts += [
        ball.vertices + np.array([side, 0.03, 0.08])
        for ball, side in zip(balls, (0.03, -0.03), strict=True)
    ]
    faces = [skull.faces, balls[0].faces + 642, balls[1].faces + 642 + 42]
    template, count = np.concatenate(verts), 642 + 84
    regressor = np.zeros((5, count))
    low = np.argsort(template[:642, 1])
    regressor[0, low[:8]] = regressor[1, low[20:40]] = 1
    regressor[2, random.choice(642, 30, replace=False)] = 1
    regressor[3, 642:684] = regressor[4, 684:] = 1
    regressor /= regressor.sum(axis=1, keepdims=True)
    weights = random.dirichlet(np.ones(3) * 0.3, count)
    weights = np.concatenate([weights, np.zeros((count, 2))], axis=1)
    weights[642:684] = np.eye(5)[3]
    weights[684:] = np.eye(5)[4]
    parents = np.array([2**32 - 1, 0, 1, 1, 1], np.uint32)
    return {
        "v_template": template,
        "shapedirs": random.normal(0, 0.0004, (count, 3, components)),
        "posedirs": random.normal(0, 0.001, (count, 3, 36)),
        "J_regressor": regressor,
        "weights": weights,
        "kintree_table": np.stack([parents, np.arange(5, dtype=np.uint32)]),
        "f": np.concatenate(faces).astype(np.uint32),
    }


class _Ch:
    """Pickles as a chumpy variable: an object with its array as `x`."""

    __module__, __qualname__ = "chumpy.ch", "Ch"

    def __init__(self, x: NDArray[Any]) -> None:
        self.x = x
        self._dirty_vars: set[str] = set()


class _Csc:
    """Pickles as a sparse matrix of scipy."""

    __module__, __qualname__ = "scipy.sparse.csc", "csc_matrix"

    def __init__(self, dense: NDArray[Any]) -> None:
        columns, rows = np.nonzero(dense.T)
        self._shape = dense.shape
        self.data = dense[rows, columns]
        self.indices = rows.astype(np.int32)
        counts = np.bincount(columns, minlength=dense.shape[1])
        self.indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)


def write_flame_pickle(path: Path, monkeypatch: pytest.MonkeyPatch, protocol: int = 2) -> None:
    """Write a pickle in the layout of FLAME's authors, without chumpy or scipy."""
    for stand_in in (_Ch, _Csc):
        parts = stand_in.__module__.split(".")
        for count in range(1, len(parts) + 1):
            fake = ModuleType(".".join(parts[:count]))
            monkeypatch.setitem(sys.modules, fake.__name__, fake)
        setattr(fake, stand_in.__qualname__, stand_in)
    arrays: dict[str, Any] = flame_arrays()
    for name in ("v_template", "shapedirs"):
        arrays[name] = _Ch(arrays[name])
    arrays["posedirs"] = np.asfortranarray(arrays["posedirs"])
    arrays["weights"] = arrays["weights"].astype(">f8")
    arrays["J_regressor"] = _Csc(arrays["J_regressor"])
    path.write_bytes(pickle.dumps({**arrays, "bs_style": "lbs"}, protocol))
    monkeypatch.undo()


def write_flame_npz(path: Path) -> None:
    """Write the same arrays as npz."""
    np.savez(path, allow_pickle=False, **flame_arrays())
