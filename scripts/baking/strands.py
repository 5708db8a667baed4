"""Grows single hairs: on the scalp, as brows and as lashes.

They are not part of the mesh. The studio draws them over it; each hangs on one triangle.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from models.training.facial_hair import (
    BROW_LENGTH_M,
    BROW_START_M,
    bearded,
    brow_height,
    brow_width,
)
from models.training.strands import BEARD, BROW, HAIR, LASH
from scripts.baking.hair import BUN_RADII, PARTING_X, cap_base, hair_thickness, scalp
from scripts.baking.meshes import Floats, Ints, smooth_normals, smoothstep, strip_rows, triangulate
from scripts.baking.source import BUN_CENTRE, HAIR_CENTRE, Source, above_hairline

STEP_M = 0.0145
STEPS = 14


@dataclass(frozen=True)
class Tuft:
    """Hairs of one kind, each of `points.shape[1]` points from root to tip."""

    kind: int
    points: Floats  # (n, p, 3) metres on the neutral head
    roots: Floats  # (n, 3) where the triangle is looked for that they hang on
    width: Floats  # (n,) metres at the root
    tone: Floats  # (n,) 0 dark .. 1 light
    open_sky: Floats  # (n, p) share of the light that other hairs let through
    holder: str = "hair"  # material of the triangles that they hang on


def strand_arrays(source: Source, arrays: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Grow all hairs and hang them on the triangles of the head file's `arrays`."""
    random = np.random.default_rng(11)
    tufts = [*scalp_tufts(source, random), *brow_tufts(source, arrays, random)]
    tufts += [t for side in "lr" for t in lash_tufts(source, side, random)]
    if source.recipe.look.beard > 0:
        tufts.append(beard_tuft(source, arrays, random))
    names = list(arrays["material_names"])
    middle = arrays["neutral"][arrays["faces"]].mean(1)
    hung = []
    for tuft in tufts:
        faces = np.nonzero(arrays["materials"] == names.index(tuft.holder))[0]
        hung.append(faces[_nearest(tuft.roots, middle[faces])])
    anchors = np.concatenate(hung)
    points = [t.points.reshape(-1, 3) for t in tufts]
    inset = np.zeros(len(arrays["neutral"]))
    hair = np.unique(arrays["faces"][arrays["materials"] == names.index("hair")])
    rise = arrays["masks"][hair, list(arrays["mask_names"]).index("hair")].astype(np.float64)
    bun = arrays["masks"][hair, list(arrays["mask_names"]).index("detail")] > 0.5
    thick = hair_thickness(arrays["neutral"][hair].astype(np.float64), rise, source.recipe.hair)
    # Curls stand up and are seen through at their roots; combed hair lies close.
    share = 0.62 - 0.3 * source.recipe.look.curl
    inset[hair] = np.where(bun, 0.0035, share * np.maximum(thick - 0.0015, 0))
    counts = np.concatenate([np.full(len(t.points), t.points.shape[1]) for t in tufts])
    return {
        "strand_inset": inset.astype(np.float16),
        # Half floats are fine enough for places told from the triangle's middle.
        "strand_points": (
            np.concatenate(points) - np.repeat(middle[anchors], counts, axis=0)
        ).astype(np.float16),
        "strand_counts": counts.astype(np.uint8),
        "strand_anchors": anchors.astype(np.int32),
        "strand_kinds": np.concatenate([np.full(len(t.points), t.kind) for t in tufts]).astype(
            np.uint8
        ),
        "strand_widths": np.concatenate([t.width for t in tufts]).astype(np.float16),
        "strand_tones": np.concatenate([t.tone for t in tufts]).astype(np.float16),
        "strand_open_sky": np.concatenate([t.open_sky.ravel() for t in tufts]).astype(np.float16),
    }


def _nearest(points: Floats, candidates: Floats) -> Ints:
    """(n,) index of the nearest candidate, in blocks that fit in memory."""
    blocks = [
        np.argmin(((points[i : i + 500, None] - candidates[None]) ** 2).sum(-1), axis=1)
        for i in range(0, len(points), 500)
    ]
    return np.concatenate(blocks)


class Shell:
    """Radii of the scalp and of the hull around `HAIR_CENTRE`, by direction."""

    def __init__(self, source: Source) -> None:
        base, thickness = cap_base(source)
        # Where no hair grows the skin goes on, so that strands may lie on the forehead.
        body = np.unique(source.quads["body"])
        skin = source.verts[body]
        near = (np.linalg.norm(skin - HAIR_CENTRE, axis=1) < 0.16) & (skin[:, 1] > -0.09)
        near &= source.masks["ears"][body] < 0.3
        near &= above_hairline(skin, source.recipe.hair) < 0
        points = np.concatenate([base, skin[near]])
        self._scalp = _directions(points)
        self._hull = _directions(base)
        self._thick = thickness

    def scalp_radius(self, directions: Floats) -> Floats:
        return _interpolate(directions, *self._scalp)

    def thickness(self, directions: Floats) -> Floats:
        return np.maximum(_interpolate(directions, self._hull[0], self._thick), 0.0)


def _directions(points: Floats) -> tuple[Floats, Floats]:
    offset = points - HAIR_CENTRE
    radius = np.linalg.norm(offset, axis=1)
    return offset / radius[:, None], radius


def _interpolate(at: Floats, directions: Floats, values: Floats) -> Floats:
    """Smooth lookup (n,) among scattered directions: a narrow Gaussian's mean."""
    blocks = []
    for i in range(0, len(at), 1000):
        weight = np.exp((at[i : i + 1000] @ directions.T - 1) * 700) + 1e-30
        blocks.append(weight @ values / weight.sum(1))
    return np.concatenate(blocks)


def scalp_tufts(source: Source, random: Generator) -> list[Tuft]:
    """Long hair, the short fine hairs of the hairline, and what has come loose."""
    cut = source.recipe.hair
    if cut.style == "cropped":
        return [cropped(source, random)]
    shell = Shell(source)
    tufts = [swept(source, shell, random, cut.strands), fine_hairs(source, shell, random)]
    return [*tufts, loose_hairs(source, shell, random), bun_tuft(random)]


def _roots(source: Source, random: Generator, count: int, low: float, high: float) -> Floats:
    """Random places (count, 3) on the scalp, `low` to `high` metres above the hairline."""
    used, local = scalp(source)
    faces = triangulate(local)
    corners = source.verts[used][faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    rise = above_hairline(corners.mean(1), source.recipe.hair)
    area = area * ((rise > low - 0.008) & (rise < high + 0.008))
    found: list[Floats] = []
    while sum(map(len, found)) < count:
        chosen = random.choice(len(faces), count, p=area / area.sum())
        weight = random.dirichlet([1, 1, 1], count)
        points = np.einsum("nk,nkc->nc", weight, corners[chosen])
        rise = above_hairline(points, source.recipe.hair)
        found.append(points[(rise > low) & (rise < high)])
    return np.concatenate(found)[:count]


def _unit(v: Floats) -> Floats:
    return v / np.maximum(np.linalg.norm(v, axis=-1, keepdims=True), 1e-9)


def _waves(random: Generator, points: Floats, frequency: float, channels: int) -> Floats:
    """Smooth noise (n, channels) of about unit size: a sum of random plane waves."""
    count = 14
    k = random.normal(0, frequency, (channels, count, 3))
    phase = random.uniform(0, 2 * np.pi, (channels, count))
    waves = np.sin(np.einsum("nc,kwc->nkw", points, k) + phase)
    result: Floats = waves.sum(-1) * (2 / count) ** 0.5
    return result


def _comb(
    shell: Shell, roots: Floats, height: Floats, flow: Any, steps: int, step_m: Any
) -> Floats:
    """Trace (n, steps + 1, 3) strands over the head: `flow(points, along)` gives directions."""
    d = _unit(roots - HAIR_CENTRE)
    path = []
    for i in range(steps + 1):
        radius = shell.scalp_radius(d) + shell.thickness(d) * height(i / steps)
        points = HAIR_CENTRE + d * radius[:, None]
        path.append(points)
        forward = flow(points, i / steps)
        forward = _unit(forward - d * (forward * d).sum(1, keepdims=True))
        d = _unit(points + forward * np.reshape(step_m, (-1, 1)) - HAIR_CENTRE)
    return np.stack(path, axis=1)


def _swept_flow(points: Floats) -> Floats:
    """Away from the parting on top, down and back at the sides, to the bun."""
    towards = _unit(BUN_CENTRE + np.array([0, 0.02, 0.02]) - points)
    side = np.sign(points[:, 0] - PARTING_X)
    off = np.abs(points[:, 0] - PARTING_X)
    front = smoothstep(-0.11, -0.02, points[:, 2])
    top = smoothstep(0.035, 0.085, points[:, 1])
    push = (0.75 * np.exp(-((off / 0.022) ** 2)) + 0.34) * top * front
    temple = smoothstep(0.045, 0.075, np.abs(points[:, 0])) * smoothstep(-0.10, -0.04, points[:, 2])
    return towards + np.stack([side * push, -0.25 * temple, 0 * push], axis=1)


def swept(source: Source, shell: Shell, random: Generator, count: int) -> Tuft:
    """The long hair, swept from the parting and the hairline back to the bun, in locks."""
    edge = _roots(source, random, count * 45 // 100, -0.001, 0.012)
    rest = _roots(source, random, count - len(edge), 0.008, 0.3)
    roots = np.concatenate([edge, rest])
    layer = random.uniform(0.25, 1.0, count) ** 0.7
    lock = np.random.default_rng(5)
    waves_state = lock.bit_generator.state

    def flow(points: Floats, along: float) -> Floats:
        lock.bit_generator.state = waves_state
        bend = _waves(lock, points, 45, 3) * 0.08 + _waves(lock, points, 110, 3) * 0.05
        return _swept_flow(points) + bend

    ridge = _waves(np.random.default_rng(8), roots, 120, 1)[:, 0]
    stray = random.normal(0, 1, count)

    def height(along: float) -> Floats:
        grown = 0.55 + 0.45 * smoothstep(0.0, 0.2, np.full(count, along))
        return grown * (layer + 0.08 * ridge + 0.04 * stray * along)

    points = _comb(shell, roots, height, flow, STEPS, STEP_M * random.uniform(0.75, 1.05, count))
    points = _into_bun(points)
    tone = np.clip(0.42 + 0.20 * ridge + random.normal(0, 0.16, count), 0, 1)
    depth = np.clip(0.30 + 0.75 * layer + 0.16 * ridge, 0.1, 1.0)
    sky = np.repeat(depth[:, None], STEPS + 1, axis=1)
    width = random.uniform(0.00022, 0.00042, count)
    return Tuft(HAIR, points, roots, width, tone, sky)


def _into_bun(points: Floats) -> Floats:
    """Hold strands on the bun's surface once they have arrived there."""
    offset = (points - BUN_CENTRE) / BUN_RADII
    reach = np.linalg.norm(offset, axis=-1, keepdims=True)
    return np.where(reach < 1, BUN_CENTRE + offset / np.maximum(reach, 1e-6) * BUN_RADII, points)


def fine_hairs(source: Source, shell: Shell, random: Generator) -> Tuft:
    """Short, thin hairs along the hairline, so that hair does not begin at a line."""
    count, steps = 2600, 5
    roots = _roots(source, random, count, -0.0035, 0.006)
    roots = roots + random.normal(0, 0.0012, (count, 3))
    scatter = random.normal(0, 0.45, (count, 3))
    lift = random.gamma(2.0, 0.0006, count)

    def flow(points: Floats, along: float) -> Floats:
        return _swept_flow(points) + scatter * (1 - 0.3 * along)

    length = random.uniform(0.004, 0.015, count)
    points = _comb(shell, roots, lambda along: np.full(count, 0.35), flow, steps, length / steps)
    out = _unit(points - HAIR_CENTRE)
    points = points + out * (0.0002 + lift[:, None, None] * np.linspace(0, 1, steps + 1)[:, None])
    tone = np.clip(random.normal(0.5, 0.2, count), 0, 1)
    width = random.uniform(0.00007, 0.00016, count)
    return Tuft(HAIR, points, roots, width, tone, np.full((count, steps + 1), 0.9))


def loose_hairs(source: Source, shell: Shell, random: Generator) -> Tuft:
    """Single hairs that stand off the hull."""
    count, steps = 260, 12
    roots = _roots(source, random, count, 0.006, 0.3)
    scatter = random.normal(0, 0.28, (count, 3))
    rise = random.gamma(1.6, 0.0016, count)

    def flow(points: Floats, along: float) -> Floats:
        return _swept_flow(points) + scatter * along

    points = _comb(shell, roots, lambda along: np.ones(count), flow, steps, 0.009)
    bow = np.sin(np.linspace(0, np.pi, steps + 1))[:, None]
    points = points + _unit(points - HAIR_CENTRE) * rise[:, None, None] * bow
    tone = np.clip(random.normal(0.65, 0.15, count), 0, 1)
    width = random.uniform(0.00008, 0.00014, count)
    return Tuft(HAIR, points, roots, width, tone, np.ones((count, steps + 1)))


def bun_tuft(random: Generator) -> Tuft:
    """Hairs wound around the bun."""
    count, steps = 1500, 10
    # Three twisted locks: each hair runs around an axis that leans with its lock.
    lock = random.integers(0, 3, count)
    lean = np.array([[0.5, 0.2], [-0.45, 0.3], [0.0, -0.55]])[lock] + random.normal(
        0, 0.05, (count, 2)
    )
    turn = random.uniform(0, 2 * np.pi, count)[:, None] + np.linspace(0, 2.1, steps + 1)
    polar = random.uniform(0.5, np.pi / 2 + 0.3, count)[:, None]
    layer = random.uniform(0.90, 1.03, count)[:, None]
    sphere = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), -np.cos(polar) + 0 * turn],
        axis=-1,
    )
    sphere[..., :2] += lean[:, None] * -sphere[..., 2:]
    points = BUN_CENTRE + _unit(sphere) * BUN_RADII * layer[..., None]
    tone = np.clip(random.normal(0.42, 0.2, count), 0, 1)
    sky = np.repeat(np.clip((layer - 0.86) * 6, 0.2, 1), steps + 1, axis=1)
    return Tuft(HAIR, points, points[:, 0], random.uniform(0.0002, 0.0004, count), tone, sky)


def cropped(source: Source, random: Generator) -> Tuft:
    """Short, tight curls that stand in clumps; thinner towards the hairline."""
    cut, steps = source.recipe.hair, 6
    roots = np.concatenate(
        [
            _roots(source, random, cut.strands, -0.0035, 0.3),
            _roots(source, random, cut.strands // 4, -0.0035, 0.014),
        ]
    )
    rise = above_hairline(roots, cut)
    grown = random.uniform(0, 1, len(roots)) < 0.2 + 0.8 * smoothstep(-0.0035, 0.007, rise)
    roots, rise = roots[grown], rise[grown]
    count = len(roots)
    clump = _waves(random, roots, 260, 4)
    reach = np.maximum(hair_thickness(roots, rise, cut), 0.0022)
    length = reach * random.uniform(0.75, 1.15, count) * (1 + 0.14 * clump[:, 3])
    out = _unit(roots - HAIR_CENTRE)
    lean = 0.55 * clump[:, :3] + random.normal(0, 0.6, (count, 3))
    axis = _unit(out + lean - out * (lean * out).sum(1, keepdims=True))
    side = _unit(np.cross(axis, random.normal(0, 1, (count, 3))))
    other = np.cross(axis, side)
    t = np.linspace(0, 1, steps + 1)
    curl = 0.0010 * random.uniform(0.5, 1.3, count)[:, None] * np.minimum(2 * t, 1)
    phase = random.uniform(0, 2 * np.pi, count)[:, None] + t * random.uniform(4, 8, count)[:, None]
    points = (
        roots[:, None]
        + axis[:, None] * (t * length[:, None])[..., None]
        + side[:, None] * (curl * np.cos(phase))[..., None]
        + other[:, None] * (curl * np.sin(phase))[..., None]
    )
    grey = _greying(random, roots)
    depth = np.clip(0.62 + 0.3 * clump[:, 3], 0.2, 1)
    sky = depth[:, None] * (0.22 + 0.45 * t)
    return Tuft(HAIR, points, roots, random.uniform(0.00020, 0.00032, count), grey, sky)


def _greying(random: Generator, roots: Floats) -> Floats:
    """Tone (n,) of each hair: some are grey, more of them at the temples and on the chin."""
    temples = smoothstep(0.075, 0.045, roots[:, 1]) * smoothstep(0.045, 0.06, np.abs(roots[:, 0]))
    chin = smoothstep(-0.080, -0.095, roots[:, 1]) * smoothstep(0.03, 0.01, np.abs(roots[:, 0]))
    share = 0.17 + 0.30 * np.maximum(temples, chin)
    grey = random.uniform(0, 1, len(roots)) < share
    return np.where(grey, random.uniform(0.45, 1, len(roots)), random.uniform(0, 0.06, len(roots)))


def beard_tuft(source: Source, arrays: dict[str, NDArray[Any]], random: Generator) -> Tuft:
    """A short beard, lying down over chin and jaw."""
    look = source.recipe.look
    skin = arrays["faces"][arrays["materials"] == list(arrays["material_names"]).index("skin")]
    verts = arrays["neutral"].astype(np.float64)
    normals = smooth_normals(verts, arrays["faces"])
    corners = verts[skin]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    lips = arrays["masks"][:, list(arrays["mask_names"]).index("lips")]
    area *= (corners.mean(1)[:, 1] < -0.0) & (normals[skin].mean(1)[:, 2] > -0.5)
    tries, steps = int(40000 * look.beard), 3
    chosen = skin[random.choice(len(skin), tries, p=area / area.sum())]
    weight = random.dirichlet([1, 1, 1], tries)
    at = np.einsum("nk,nkc->nc", weight, verts[chosen])
    share = bearded(at.astype(np.float32), np.einsum("nk,nk->n", weight, lips[chosen]))
    grown = random.uniform(0, 1, tries) < share
    at, out = at[grown], _unit(np.einsum("nk,nkc->nc", weight, normals[chosen]))[grown]
    count = len(at)
    down = np.array([0.0, -1.0, 0.25]) + random.normal(0, 0.5, (count, 3))
    along = _unit(down - out * (down * out).sum(1, keepdims=True))
    t = np.linspace(0, 1, steps + 1)[None, :, None]
    length = (0.0012 + 0.0016 * look.beard) * random.uniform(0.6, 1.2, (count, 1, 1))
    turn = random.normal(0, 0.5, (count, 1, 1)) * np.cross(along, out)[:, None]
    points = at[:, None] + length * (
        t * along[:, None] + t**2 * turn + 0.5 * t * (1.2 - t) * out[:, None]
    )
    points = points + 0.0001 * out[:, None]
    width = random.uniform(0.00009, 0.00016, count)
    sky = np.full((count, steps + 1), 0.75)
    return Tuft(BEARD, points, at, width, _greying(random, at), sky, "skin")


def brow_tufts(source: Source, arrays: dict[str, NDArray[Any]], random: Generator) -> list[Tuft]:
    """Brows: hairs along two arcs, upright at the inner end, lying down further out."""
    recipe, look = source.recipe, source.recipe.look
    skin = arrays["faces"][arrays["materials"] == list(arrays["material_names"]).index("skin")]
    verts = arrays["neutral"].astype(np.float64)
    normals = smooth_normals(verts, arrays["faces"])
    used = np.unique(skin)
    used = used[(verts[used, 2] > -0.005) & (verts[used, 1] > -0.005) & (verts[used, 1] < 0.05)]
    count, steps = int(400 * recipe.brow_fullness), 4
    tufts = []
    for sign in (1.0, -1.0):
        along = random.beta(1.25, 1.15, count)
        across = random.uniform(-1, 1, count)
        start = np.stack(
            [
                BROW_START_M + BROW_LENGTH_M * along,
                brow_height(along, look) + across * brow_width(along, look) * 0.85,
            ],
            1,
        )
        angle = np.interp(along, [0, 0.15, 0.5, 1], [1.15, 0.75, 0.22, -0.45])
        angle = angle * (0.4 + 0.6 * look.brow_arch) - 0.35 * across + random.normal(0, 0.12, count)
        bend = random.normal(-0.25, 0.1, count)
        length = random.uniform(0.0035, 0.0068, count) * np.interp(
            along, [0, 0.3, 1], [0.8, 1, 0.7]
        )
        t = np.linspace(0, 1, steps + 1)
        heading = angle[:, None] + bend[:, None] * t
        step = (
            np.stack([np.cos(heading), np.sin(heading)], axis=-1) * (length / steps)[:, None, None]
        )
        flat = start[:, None] + np.cumsum(step, axis=1) - step[:, :1]
        flat[..., 0] *= sign
        surface, normal = _on_surface(flat.reshape(-1, 2), verts[used], normals[used])
        lift = np.tile(0.00015 + 0.0007 * np.sin(t * 2.4), count)
        points = (surface + normal * lift[:, None]).reshape(count, steps + 1, 3)
        tone = np.clip(random.normal(0.3, 0.15, count), 0, 1)
        width = random.uniform(0.00009, 0.00017, count)
        tufts.append(
            Tuft(BROW, points, points[:, 0], width, tone, np.full((count, steps + 1), 0.95), "skin")
        )
    return tufts


def _on_surface(flat: Floats, verts: Floats, normals: Floats) -> tuple[Floats, Floats]:
    """The face's surface and normal above places (n, 2) seen from the front."""
    distance = ((flat[:, None] - verts[None, :, :2]) ** 2).sum(-1)
    order = np.argsort(distance, axis=1)[:, :4]
    near = np.take_along_axis(distance, order, axis=1)
    weight = 1 / (near + 1e-8)
    weight /= weight.sum(1, keepdims=True)
    normal = _unit(np.einsum("nk,nkc->nc", weight, normals[order]))
    # Each neighbour's tangent plane, followed to the place asked for.
    corner = verts[order]
    slope = -normals[order][..., :2] / np.maximum(normals[order][..., 2:], 0.2)
    z = corner[..., 2] + ((flat[:, None] - corner[..., :2]) * slope).sum(-1)
    return np.c_[flat, (weight * z).sum(1)], normal


def lash_tufts(source: Source, side: str, random: Generator) -> list[Tuft]:
    """Upper and lower lashes of one eye, fanned out, longest towards the outer corner."""
    return [
        _lash_row(source, side, group, reach, random)
        for group, reach in (
            ("2", source.recipe.lash_mm / 1000),
            ("1", 0.45 * source.recipe.lash_mm / 1000),
        )
    ]


def _lash_row(source: Source, side: str, group: str, reach: float, random: Generator) -> Tuft:
    upper = group == "2"
    centre = source.verts[np.unique(source.quads[f"helper-{side}-eye"])].mean(0)
    name = f"helper-{side}-eyelashes-{group}"
    rows = strip_rows(source.verts, source.quads[name], centre)
    root, tip = source.verts[rows[:, 0]], source.verts[rows[:, -1]]
    outer = np.linspace(0, 1, len(root)) if side == "l" else np.linspace(1, 0, len(root))
    count, steps = (110, 6) if upper else (55, 5)
    at = np.clip(random.normal(0, 0.004, count) + np.linspace(0.06, 0.98, count), 0, 1)
    # Lashes stand in small bunches.
    bunch = np.round(at * (26 if upper else 16)) / (26 if upper else 16)
    order = np.argsort(outer)

    def along(values: Floats, where: Floats) -> Floats:
        return np.stack([np.interp(where, outer[order], values[order, k]) for k in range(3)], 1)

    start = along(root, at)
    forward = _unit(along(tip, 0.45 * at + 0.55 * bunch) - along(root, 0.45 * at + 0.55 * bunch))
    fan = np.zeros((count, 3))
    fan[:, 0] = (0.5 if side == "l" else -0.5) * (at - 0.45)
    forward = _unit(forward + fan + random.normal(0, 0.05, (count, 3)))
    length = reach * np.interp(at, [0, 0.25, 0.7, 0.95, 1], [0.35, 0.7, 1.0, 0.85, 0.6])
    length *= random.uniform(0.75, 1.1, count)
    t = np.linspace(0, 1, steps + 1)
    curl = np.array([0.0, 0.45 if upper else -0.2, 0.0])
    points = start[:, None] + (length[:, None] * t)[..., None] * forward[:, None]
    points = points + (length[:, None] * t**2)[..., None] * curl
    width = random.uniform(0.00020, 0.00028, count) * (1.0 if upper else 0.6)
    tone = random.uniform(0, 0.3, count)
    sky = np.ones((count, steps + 1))
    return Tuft(LASH, points, start, width, tone, sky, "lash" if upper else "skin")
