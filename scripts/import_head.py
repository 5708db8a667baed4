"""Make a head file from your own mesh or from a FLAME model.

    .venv/bin/python scripts/import_head.py face.glb runs/mine/head.npz --picture runs/mine/head.png
    .venv/bin/python scripts/import_head.py generic_model.pkl runs/flame/head.npz \\
        --uvs FLAME_texture.npz

A `.glb` or `.gltf` file can hold expressions as morph targets with ARKit's names; an `.obj` file
holds none and is driven by its vertices (`"vertices"` of a mesh frame). Heads should be upright
(+Y) and face +Z; one whose expressions, eyes and mouth show other directions is rotated, which is
reported. Files compressed by Draco or meshopt, and KTX2 textures, are refused with a command that
decompresses them. The studio can render the heads, so that `scripts/make_dataset.py --head` and
`scripts/train.py --head` accept the file. A FLAME model (`.pkl`, of which no code is executed, or
`.npz`) gives a head for the paper's own networks and data, see
`scripts/import_authors_checkpoint.py`.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image

from models.contract.frame_state import neutral_state
from models.geometry.flame import flame_head, load_flame, load_texture_space
from models.geometry.head import HeadError
from models.geometry.npz import read_npy
from models.heads.gltf_file import MeshFileError
from models.heads.imported import import_head
from models.studio.studio import load_studio

MESHES = (".glb", ".gltf", ".obj")


@dataclass(frozen=True)
class Arguments:
    """Make a head file."""

    mesh: Annotated[Path, tyro.conf.Positional]
    """.glb, .gltf, .obj, or FLAME's .pkl or .npz."""
    out: Annotated[Path, tyro.conf.Positional]
    """The head file to write, .npz."""
    uvs: Path | None = None
    """FLAME: its texture layout, .npz with vt and ft, or .obj."""
    shape: Path | None = None
    """FLAME: .npy of up to 100 shape coefficients."""
    picture: Path | None = None
    """Mesh: also write an image of it, rendered by the studio."""


def main(arguments: Arguments) -> int:
    """Import and write. Returns the exit code."""
    try:
        arrays = _read(arguments)
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(arguments.out, allow_pickle=False, **arrays)
        if arguments.picture is not None:
            _render(arguments.out, arrays, arguments.picture)
    except (HeadError, MeshFileError, OSError, ValueError) as error:
        print(f"import_head: {error}", file=sys.stderr)
        return 1
    print(
        f"{arguments.out}: {len(arrays['neutral'])} vertices, {len(arrays['faces'])} triangles, "
        f"{len(arrays['expression_names'])} expressions"
    )
    return 0


def _read(arguments: Arguments) -> dict[str, NDArray[Any]]:
    """Return the arrays of the head file: of a mesh by its suffix, else of a FLAME model."""
    if arguments.mesh.suffix.lower() in MESHES:
        return import_head(
            arguments.mesh, lambda note: print(f"import_head: {note}", file=sys.stderr)
        )
    space = load_texture_space(arguments.uvs) if arguments.uvs else None
    shape = read_npy(arguments.shape).reshape(-1) if arguments.shape else None
    return flame_head(load_flame(arguments.mesh), shape, space)


def _render(head: Path, arrays: dict[str, NDArray[Any]], image: Path) -> None:
    """Render the head file in its recommended view and write the image."""
    x, y, z = arrays["eye_position"].tolist()
    state = neutral_state(len(arrays["expression_names"]), (x, y, z), float(arrays["fov_y_rad"]))
    Image.fromarray(load_studio(head).render(state).rgb).save(image)


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Arguments, description=__doc__)))
