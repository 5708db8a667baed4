"""Tracks the torso, which moves by itself, beside the mesh.

The mesh of the clothes follows the base of the neck without turning (`Head.pose`); real shoulders
move by themselves. Colours of all frames would blur on the mesh. So the real torso is tracked, as a
shift, a scale and a rotation in the image beside the motion of the mesh, and `stabilization.py`
moves the part of each frame that shows it by the difference. On average nothing moves.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import OptimizeResult, least_squares

from models.capture.stabilization import Mask, TorsoMotion, body_share, for_pixels
from models.contract.frame_state import FrameState
from models.geometry.gbuffer import pose_geometry
from models.geometry.head import Head
from models.geometry.rasterizer import SUBPIXELS
from models.heads.meshes import Floats

Bytes = NDArray[np.uint8]

_SIZE = 160
"""Rows and columns of the images that are compared."""
_BLUR_PX = 1.5
_AROUND_PX = 5
"""Width of the border around the clothes that takes part: outline of the shoulders, neckline."""
_EDGE_PX = 9
"""Width of the edge of the image that takes no part: a shifted frame may have nothing there."""
_BODY = 0.9
"""Share of the body's motion from which on a vertex belongs to the torso."""
_NECKLINE = 0.5
"""Share of the body's motion from which on a pixel is compared. Lower than for vertices: the
neckline is the clearest line of most clothes."""
_STEPS = 25
"""Greatest number of steps of a search."""
_USUAL_LEVELS = 20.0
"""Differences beyond this are outliers: hands, shadows, the edge of an image."""
_ALIKE, _MOST_COST = 0.05, 0.5
"""Mean cost of a pixel below which a search needs no second start, and above which the frame does
not show the reference's torso: it is not moved at all."""
_LEVER_PX = 40.0
"""Distance from the middle at which rotation and scale are counted in pixels, like the shift."""
_MIDDLE = (0.5, 0.8)
"""Centre of rotation and scale, in units of the image's side: about at the collar."""
_PROBE_PX = 0.25
"""Difference of a parameter from which a derivative is taken."""
_MOST_PX = 16.0
"""Largest value of each parameter: beyond it the torso is lost."""


class TorsoTracker:
    """Finds how the torso has moved against the mesh since a reference frame.

    All maps are affine, (3, 3), of positions in units of the image's side.

    Args:
        head: The head.
        state: State of the reference frame.
        rgb: (H, W, 3) uint8 image of the reference frame.
        coverage: (H, W) uint8 coverage of the person in it.
    """

    def __init__(self, head: Head, state: FrameState, rgb: Bytes, coverage: Bytes) -> None:
        self._head = head
        self._torso = head.weights[:, 0] > _BODY
        self._rest = self._points(state)
        # Parts that the reference frame does not show need not be mapped well.
        self._inside = ((self._rest > 0) & (self._rest < 1)).all(axis=1)
        self._reference = _grey(rgb, coverage)
        share = body_share(head, pose_geometry(head, state, _SIZE), _SIZE)
        clothes = (np.nan_to_num(share) > _NECKLINE).astype(np.uint8)
        near = np.asarray(cv2.dilate(clothes, np.ones((2 * _AROUND_PX + 1,) * 2, np.uint8)))
        # Shifted, another frame may have nothing at the edges of the image.
        near[-_EDGE_PX:], near[:, :_EDGE_PX], near[:, -_EDGE_PX:] = 0, 0, 0
        self._box = _box_around(near > 0)
        self._near: Mask = near[self._box] > 0
        self._corner = np.eye(3)
        self._corner[:2, 2] = [self._box[1].start, self._box[0].start]

    def by_mesh(self, state: FrameState) -> Floats:
        """Return the map of the mesh's torso from the reference to a state."""
        points = np.column_stack([self._rest, np.ones(len(self._rest))])[self._inside]
        found, *_ = np.linalg.lstsq(points, self._points(state)[self._inside], rcond=None)
        return np.vstack([found.T, [0, 0, 1]])

    def apart(
        self, state: FrameState, rgb: Bytes, coverage: Bytes, like: Floats | None = None
    ) -> Floats | None:
        """Return how the torso has moved against the mesh, at the reference's pose.

        Args:
            state: State of the frame.
            rgb: (H, W, 3) uint8 image of the frame.
            coverage: (H, W) uint8 coverage of the person in it.
            like: (4,) the result for the frame before, where the search begins.

        Returns:
            (4,) for `similarity`; None where the torso is not found.
        """
        if not self._near.any():
            return None
        whole = (_SIZE, _SIZE)
        seen = _warped(_grey(rgb, coverage), for_pixels(self.by_mesh(state), _SIZE), whole)
        reference = self._reference[self._box]

        def errors(four: Floats) -> Floats:
            matrix = for_pixels(similarity(four), _SIZE) @ self._corner
            apart = _warped(seen, matrix, reference.shape) - reference
            return np.asarray(apart[self._near] / _USUAL_LEVELS, np.float64)

        best = _search(errors, np.zeros(4) if like is None else like)
        if best.cost > _ALIKE * self._near.sum() and like is not None:
            best = min(best, _search(errors, np.zeros(4)), key=lambda found: float(found.cost))
        # A search that went far has followed something else than the clothes.
        lost = best.cost > _MOST_COST * self._near.sum() or np.abs(best.x).max() > _MOST_PX
        return None if lost else np.asarray(best.x)

    def _points(self, state: FrameState) -> Floats:
        xy = pose_geometry(self._head, state, _SIZE).xy[self._torso]
        return np.asarray(xy / (SUBPIXELS * _SIZE), np.float64)


def similarity(four: Floats) -> Floats:
    """Return the map (3, 3) of a shift (x, y), a scale and a rotation, in pixels of `_SIZE`."""
    scale, turn = 1 + four[2] / _LEVER_PX, four[3] / _LEVER_PX
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    shift = np.array(_MIDDLE) - linear @ _MIDDLE + four[:2] / _SIZE
    return np.vstack([np.column_stack([linear, shift]), [0, 0, 1]])


def track_torso(
    head: Head,
    frames: Callable[[int], tuple[FrameState, Bytes, Bytes]],
    usable: list[int],
    count: int,
    advance: Callable[[float], None],
) -> TorsoMotion:
    """Track the torso in all usable frames.

    Args:
        head: The head.
        frames: Returns state, image and coverage of a frame.
        usable: Numbers of the frames to track.
        count: Number of all frames.
        advance: Called with the finished share.
    """
    tracker = TorsoTracker(head, *frames(_middle([frames(n)[0] for n in usable], usable)))
    apart: dict[int, Floats] = {}
    last = None
    for done, n in enumerate(usable):
        found = tracker.apart(*frames(n), last)
        if found is not None:
            apart[n] = last = found
        advance((done + 1) / len(usable))
    motion = TorsoMotion.none(count)
    # On average nothing moves: the mesh was fitted to all frames.
    usual = similarity(np.mean(list(apart.values()), axis=0) if apart else np.zeros(4))
    for n, four in apart.items():
        mesh = tracker.by_mesh(frames(n)[0])
        motion.maps[n] = mesh @ similarity(four) @ np.linalg.inv(mesh @ usual)
    return motion


def _search(errors: Callable[[Floats], Floats], start: Floats) -> OptimizeResult:
    """Return the four parameters of the least errors near a start."""

    def derivatives(four: Floats) -> Floats:
        steps = _PROBE_PX * np.eye(4)
        columns = [(errors(four + step) - errors(four - step)) / (2 * _PROBE_PX) for step in steps]
        return np.stack(columns, axis=1)

    return least_squares(errors, start, derivatives, loss="soft_l1", max_nfev=_STEPS)


def _middle(states: list[FrameState], numbers: list[int]) -> int:
    """Return the number of the frame whose head is nearest to the mean of all."""
    poses = np.array([[*s.head_translation, *s.head_rotation[:3]] for s in states])
    apart = np.linalg.norm((poses - poses.mean(axis=0)) / (poses.std(axis=0) + 1e-6), axis=1)
    return numbers[int(np.argmin(apart))]


def _grey(rgb: Bytes, coverage: Bytes) -> NDArray[np.float32]:
    """Return (_SIZE, _SIZE) the person's brightness on black."""
    grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY).astype(np.float32) * (coverage / 255.0)
    small = cv2.resize(grey.astype(np.float32), (_SIZE, _SIZE), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), _BLUR_PX), np.float32)


def _warped(
    image: NDArray[np.float32], matrix: Floats, shape: tuple[int, ...]
) -> NDArray[np.float32]:
    """Return (H, W) an image at pixels mapped by a matrix (3, 3); 0 outside of it."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(image, matrix[:2], shape[::-1], flags=flags), np.float32)


def _box_around(mask: Mask) -> tuple[slice, slice]:
    """Return the rows and columns that a mask needs; none for an empty one."""
    rows, columns = (np.nonzero(mask.any(axis=axis))[0] for axis in (1, 0))
    if len(rows) == 0:
        return slice(0, 0), slice(0, 0)
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
