"""The ring between the server and a device process: newest inputs in, images out.

A block of shared memory with a few entries, each of which carries one frame at a time: the server
writes the inputs, and rewrites them while they change, until the process begins the frame and takes
the newest; then the process writes the image. Messages on the channel order the accesses, so only
the inputs are written and read at the same time (`VersionedValue`).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from models.contract.avatar_info import AvatarInfo
from models.contract.frame_state import FloatArray, FrameState
from models.contract.images import Nv12Image, layered_rows
from server.errors import RenderError
from server.pool.shared_block import ALIGNMENT, SharedBlock, aligned

RING_ENTRIES = 8
"""Frames that a device process may have at once, as many as one run of the kernels takes. Others
wait in the server."""

_HEADER = struct.Struct("<QII")
"""Version, length and checksum of a value."""
_COUNTS = struct.Struct("<IId")
"""Number of coefficients and of vertices, and the field of view."""
_POSE_FLOATS = 14
"""Two quaternions and two positions."""
_ATTEMPTS = 1000


class VersionedValue:
    """Bytes in shared memory that one process replaces while another reads them.

    Versions alternate between two buffers, and each has a checksum: a reader that finds an
    incomplete one takes the other, or reads again. This is correct for any memory order of the
    processor.

    Args:
        memory: Two buffers, each of a header and the longest value.
    """

    def __init__(self, memory: memoryview) -> None:
        half = len(memory) // 2
        self._places = memory[:half], memory[half:]

    def write(self, version: int, value: bytes) -> None:
        """Replace the value.

        Args:
            version: The previous version plus one; 1 for the first.
            value: The bytes.
        """
        place = self._places[version % 2]
        place[: _HEADER.size] = _HEADER.pack(0, 0, 0)
        place[_HEADER.size : _HEADER.size + len(value)] = value
        place[: _HEADER.size] = _HEADER.pack(version, len(value), _checksum(version, value))

    def clear(self) -> None:
        """Drop all versions, before the first of another value; no reader may be active."""
        for place in self._places:
            place[: _HEADER.size] = _HEADER.pack(0, 0, 0)

    def read(self) -> tuple[int, bytes]:
        """Return the newest version and its value.

        Raises:
            RuntimeError: If there is none.
        """
        for _ in range(_ATTEMPTS):
            # Chosen before anything is copied. Of two copies, made one after the other, the first
            # can be outdated and the second half written: it would be older than the one before.
            newest = max(self._places, key=_version)
            if (found := self._read(newest)) is not None:
                return found
        whole = [found for place in self._places if (found := self._read(place)) is not None]
        if whole:
            return max(whole)
        raise RuntimeError("the inputs of a frame are damaged")

    def release(self) -> None:
        """Drop all views of the memory."""
        for place in self._places:
            place.release()

    @staticmethod
    def _read(place: memoryview) -> tuple[int, bytes] | None:
        version, length, checksum = _HEADER.unpack_from(place)
        if not version or _HEADER.size + length > len(place):
            return None
        value = bytes(place[_HEADER.size : _HEADER.size + length])
        return (version, value) if _checksum(version, value) == checksum else None


def _version(place: memoryview) -> int:
    version: int = _HEADER.unpack_from(place)[0]
    return version


def _checksum(version: int, value: bytes) -> int:
    return zlib.crc32(value, version & 0xFFFFFFFF)


@dataclass(frozen=True)
class RingLayout:
    """Sizes of the entries of a ring."""

    state_nbytes: int
    """Bytes of the longest encoded state."""
    image_nbytes: int
    """Bytes of the largest image."""
    entries: int = RING_ENTRIES

    @classmethod
    def for_frames(cls, avatars: Iterable[AvatarInfo], size: int = 0) -> RingLayout:
        """Return a layout that has room for frames of every avatar, at least one.

        Including layered ones, which are the largest: unused pages of memory stay unmapped.

        Args:
            avatars: The avatars.
            size: Rows and columns of other frames than those of the avatars' resolution.
        """
        found = tuple(avatars)
        largest = max(size, *(avatar.resolution for avatar in found))
        return cls(
            max(encoded_nbytes(len(a.expression_names), a.vertex_count) for a in found),
            largest * layered_rows(largest) * 3 // 2,
        )

    @property
    def place_nbytes(self) -> int:
        """Bytes of one of the two buffers for the inputs."""
        return aligned(_HEADER.size + self.state_nbytes)

    @property
    def entry_nbytes(self) -> int:
        """Bytes of an entry: the flag, two buffers and the image."""
        return ALIGNMENT + 2 * self.place_nbytes + aligned(self.image_nbytes)

    @property
    def nbytes(self) -> int:
        """Bytes of the whole ring."""
        return self.entries * self.entry_nbytes

    def holds(self, other: RingLayout) -> bool:
        """Return whether an entry has room for the contents of an entry of another layout."""
        return self.state_nbytes >= other.state_nbytes and self.image_nbytes >= other.image_nbytes

    def joined(self, other: RingLayout) -> RingLayout:
        """Return a layout whose entries have room for those of both layouts."""
        return RingLayout(
            max(self.state_nbytes, other.state_nbytes),
            max(self.image_nbytes, other.image_nbytes),
            self.entries,
        )


class RingEntry:
    """Memory for one frame.

    Args:
        memory: `RingLayout.entry_nbytes` bytes.
        layout: The layout of the ring.
    """

    def __init__(self, memory: memoryview, layout: RingLayout) -> None:
        inputs_end = ALIGNMENT + 2 * layout.place_nbytes
        self._flag = memory[:1]
        self._longest = layout.state_nbytes
        self._inputs = VersionedValue(memory[ALIGNMENT:inputs_end])
        self._image = memory[inputs_end:]

    @property
    def begun(self) -> bool:
        """Whether the device process has taken the inputs."""
        return bool(self._flag[0])

    def offer(self) -> None:
        """Make the entry ready for a new frame, before its inputs are written."""
        self._inputs.clear()
        self._flag[0] = 0

    def write_state(self, version: int, state: FrameState) -> None:
        """Replace the inputs; see `VersionedValue.write`.

        Raises:
            RenderError: If they are too long for every avatar.
        """
        value = encode_state(state)
        if len(value) > self._longest:
            raise RenderError(f"expected a state of {self._longest} bytes, got {len(value)}")
        self._inputs.write(version, value)

    def take_state(self) -> tuple[int, FrameState]:
        """Begin the frame: return the newest inputs and their version."""
        version, value = self._inputs.read()
        self._flag[0] = 1
        return version, decode_state(value)

    def write_image(self, nv12: Nv12Image) -> None:
        """Store the image of the frame."""
        np.frombuffer(self._image, np.uint8, nv12.size)[:] = nv12.reshape(-1)

    def read_image(self, shape: tuple[int, int]) -> Nv12Image:
        """Return a copy of the image, so that the entry can carry the next frame."""
        count = shape[0] * shape[1]
        return np.frombuffer(self._image, np.uint8, count).reshape(shape).copy()

    def release(self) -> None:
        """Drop all views of the memory."""
        self._inputs.release()
        self._image.release()
        self._flag.release()


class FrameRing:
    """All entries; created by the server, and attached by each device process.

    Args:
        block: The shared memory.
        layout: Its layout.
    """

    def __init__(self, block: SharedBlock, layout: RingLayout) -> None:
        self.layout = layout
        self._block = block
        size = layout.entry_nbytes
        self.entries = [
            RingEntry(block.buffer[index * size : (index + 1) * size], layout)
            for index in range(layout.entries)
        ]

    @classmethod
    def create(cls, layout: RingLayout) -> FrameRing:
        """Allocate a ring.

        Raises:
            PoolBusyError: If there is not enough shared memory.
        """
        return cls(SharedBlock.create(layout.nbytes), layout)

    @classmethod
    def attach(cls, name: str, layout: RingLayout) -> FrameRing:
        """Map the ring of another process."""
        return cls(SharedBlock.attach(name), layout)

    @property
    def name(self) -> str:
        """The argument of `attach` in another process."""
        return self._block.name

    def close(self) -> None:
        """Unmap the ring, and free it in the process that created it."""
        for entry in self.entries:
            entry.release()
        self._block.close()


def encoded_nbytes(expressions: int, vertices: int) -> int:
    """Return the bytes of the longest state for a number of coefficients and vertices."""
    return _COUNTS.size + 4 * (_POSE_FLOATS + expressions + 3 * vertices)


def encode_state(state: FrameState) -> bytes:
    """Return a state as bytes, without loss of precision."""
    vertices = 0 if state.vertices is None else len(state.vertices)
    arrays = (
        state.head_rotation,
        state.head_translation,
        state.eye_rotation,
        state.eye_position,
        state.expression,
        *(() if state.vertices is None else (state.vertices,)),
    )
    counts = _COUNTS.pack(len(state.expression), vertices, state.fov_y_rad)
    return counts + b"".join(np.asarray(array, np.float32).tobytes() for array in arrays)


def decode_state(value: bytes) -> FrameState:
    """Return the state that `encode_state` has encoded."""
    expressions, vertices, fov_y_rad = _COUNTS.unpack_from(value)
    floats = np.frombuffer(value, np.float32, offset=_COUNTS.size)
    pose, own = floats[:_POSE_FLOATS], floats[_POSE_FLOATS + expressions :]
    return FrameState(
        head_rotation=pose[:4],
        head_translation=pose[4:7],
        expression=floats[_POSE_FLOATS : _POSE_FLOATS + expressions],
        eye_rotation=pose[7:11],
        eye_position=pose[11:],
        fov_y_rad=fov_y_rad,
        vertices=_vertices(own, vertices),
    )


def _vertices(floats: FloatArray, count: int) -> FloatArray | None:
    return floats.reshape(count, 3) if count else None
