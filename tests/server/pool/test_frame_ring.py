"""The ring between server and device process: newest inputs, no torn values, bounded memory."""

from __future__ import annotations

import multiprocessing
import os
import time
from dataclasses import fields, replace

import numpy as np
import pytest

from models.contract.frame_state import FrameState
from server.errors import PoolBusyError, RenderError
from server.pool.fake import fake_avatar, fake_state
from server.pool.frame_ring import (
    FrameRing,
    RingLayout,
    VersionedValue,
    decode_state,
    encode_state,
    encoded_nbytes,
)
from server.pool.shared_block import SharedBlock

LAYOUT = RingLayout(state_nbytes=encoded_nbytes(52, 4), image_nbytes=12 * 8, entries=2)


def random_state(vertices: int) -> FrameState:
    rng = np.random.default_rng(vertices)

    def floats(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.standard_normal(shape).astype(np.float32)

    return FrameState(
        head_rotation=floats(4),
        head_translation=floats(3),
        expression=floats(52),
        eye_rotation=floats(4),
        eye_position=floats(3),
        fov_y_rad=0.1 + 0.2,
        vertices=floats(vertices, 3) if vertices else None,
    )


@pytest.mark.parametrize("vertices", [0, 1, 4])
def test_a_state_is_decoded_to_identical_bits(vertices: int) -> None:
    state = random_state(vertices)
    encoded = encode_state(state)
    assert len(encoded) == encoded_nbytes(52, vertices)
    decoded = decode_state(encoded)
    for field in fields(FrameState):
        assert np.array_equal(getattr(decoded, field.name), getattr(state, field.name))
    assert (decoded.vertices is None) == (vertices == 0)


def test_the_newest_version_is_read_and_the_previous_one_if_it_is_damaged() -> None:
    memory = bytearray(256)
    value = VersionedValue(memoryview(memory))
    value.write(1, b"first")
    assert value.read() == (1, b"first")
    value.write(2, b"second, longer")
    value.write(3, b"third")
    assert value.read() == (3, b"third")
    memory[128 + 16] ^= 0xFF  # the slot of odd versions
    assert value.read() == (2, b"second, longer")
    memory[16] ^= 0xFF
    with pytest.raises(RuntimeError, match="damaged"):
        value.read()


def test_there_is_nothing_to_read_before_the_first_version() -> None:
    with pytest.raises(RuntimeError, match="damaged"):
        VersionedValue(memoryview(bytearray(256))).read()


def _write_for(name: str, seconds: float) -> None:
    block = SharedBlock.attach(name)
    value = VersionedValue(block.buffer)
    version, ends_at = 1, time.monotonic() + seconds
    while time.monotonic() < ends_at:
        version += 1
        value.write(version, version.to_bytes(8, "little") * 4000)
    value.release()
    block.close()


def test_a_reader_never_sees_a_torn_value_that_another_process_writes() -> None:
    block = SharedBlock.create(2 * 40_000)
    value = VersionedValue(block.buffer)
    value.write(1, (1).to_bytes(8, "little") * 4000)
    context = multiprocessing.get_context("spawn")
    writer = context.Process(target=_write_for, args=(block.name, 0.5))
    writer.start()
    seen = []
    while writer.is_alive():
        version, found = value.read()
        assert found == version.to_bytes(8, "little") * 4000
        seen.append(version)
    writer.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    value.release()
    block.close()


def test_an_entry_transfers_inputs_one_way_and_an_image_the_other() -> None:
    ring = FrameRing.create(LAYOUT)
    other = FrameRing.attach(ring.name, LAYOUT)
    ours, theirs = ring.entries[1], other.entries[1]
    ours.offer()
    ours.write_state(1, fake_state(0.25))
    ours.write_state(2, fake_state(0.5))
    assert not ours.begun
    version, state = theirs.take_state()
    assert (version, state.expression[17]) == (2, 0.5)
    assert ours.begun
    nv12 = np.arange(12 * 8, dtype=np.uint8).reshape(12, 8)
    theirs.write_image(nv12)
    image = ours.read_image((12, 8))
    theirs.write_image(np.zeros_like(nv12))
    assert np.array_equal(image, nv12), "a copy, unaffected by the next frame"
    assert not ring.entries[0].begun
    other.close()
    ring.close()


def test_an_entry_does_not_keep_inputs_of_the_previous_frame() -> None:
    ring = FrameRing.create(LAYOUT)
    entry = ring.entries[0]
    for version in (1, 2, 3):
        entry.write_state(version, fake_state(version / 10))
    assert entry.take_state()[0] == 3
    entry.offer()
    entry.write_state(1, fake_state(0.9))
    version, state = entry.take_state()
    assert (version, round(float(state.expression[17]), 3)) == (1, 0.9)
    ring.close()


def test_a_state_that_is_too_large_is_refused_and_the_previous_one_remains() -> None:
    ring = FrameRing.create(LAYOUT)
    entry = ring.entries[0]
    entry.write_state(1, random_state(4))
    with pytest.raises(RenderError, match=r"expected a state of \d+ bytes, got \d+"):
        entry.write_state(2, replace(random_state(4), vertices=np.zeros((5, 3), np.float32)))
    assert entry.take_state()[0] == 1
    ring.close()


def test_a_ring_has_room_for_the_largest_avatar_and_joins_others() -> None:
    small, large = fake_avatar(resolution=64), fake_avatar("large", resolution=128)
    layout = RingLayout.for_frames([small, large])
    assert layout.image_nbytes == 128 * (2 * 128 + 16) * 3 // 2, "layered frames included"
    assert layout.holds(RingLayout.for_frames([small]))
    assert not RingLayout.for_frames([small]).holds(layout)
    assert RingLayout.for_frames([small]).joined(layout) == layout
    assert RingLayout.for_frames([small], 128) == layout, "a small avatar in larger frames"


def test_a_ring_that_does_not_fit_is_refused_and_a_closed_one_leaves_no_file() -> None:
    before = set(os.listdir("/dev/shm"))
    with pytest.raises(PoolBusyError, match="no shared memory"):
        FrameRing.create(RingLayout(state_nbytes=64, image_nbytes=1 << 44))
    FrameRing.create(LAYOUT).close()
    assert set(os.listdir("/dev/shm")) - before == set()
