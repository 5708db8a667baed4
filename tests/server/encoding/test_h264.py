"""The H.264 encoder: images survive encoding and decoding; key frames and bitrate."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import av
import numpy as np
import pytest
from aiortc.codecs.h264 import H264Encoder as AiortcEncoder
from numpy.typing import NDArray

from models.contract.frame_state import FrameState, neutral_state
from models.contract.images import layered_rows
from models.kernels.nv12_numba import convert_to_nv12
from server.encoding.h264 import PIXELS, H264Encoder, default_bitrate, open_x264, video_frame

SIDE = 128
TICKS = 1500  # 60 frames a second
SPS, PPS, IDR, SLICE = 7, 8, 5, 1


def image(step: int) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3) Return smooth colours that move with `step`."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] / SIDE * 2 * np.pi
    waves = [np.sin(x + step / 10), np.sin(y), np.cos(x + y - step / 7)]
    return np.rint(127.5 + 90 * np.stack(waves, axis=-1)).astype(np.uint8)


def nv12(step: int) -> NDArray[np.uint8]:
    """(3 SIDE/2, SIDE) Return the same image as a renderer makes it."""
    return convert_to_nv12(image(step))


def noise(step: int) -> NDArray[np.uint8]:
    """(SIDE, SIDE, 3) blocks of 4x4, too costly for any bitrate here, new at every step."""
    small = np.random.default_rng(step).integers(0, 256, (SIDE // 4, SIDE // 4, 3), np.uint8)
    return small.repeat(4, axis=0).repeat(4, axis=1)


def build(bitrate: int = 1_500_000, highest_bitrate: int = 4_000_000) -> H264Encoder:
    return H264Encoder(
        SIDE, SIDE, fps=60, bitrate=bitrate, highest_bitrate=highest_bitrate, open_codec=open_x264
    )


def nal_types(packet: av.Packet[Any]) -> list[int]:
    return [nal[0] & 0x1F for nal in AiortcEncoder._split_bitstream(bytes(packet))]


def decode_all(packets: list[av.Packet[Any]]) -> list[NDArray[np.uint8]]:
    decoder = av.CodecContext.create("h264", "r")
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    return [np.asarray(frame.to_ndarray(format="rgb24"), np.uint8) for frame in frames]


def psnr_db(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(float) - b) ** 2)))


def test_every_decoded_frame_is_close_to_its_source() -> None:
    encoder = build()
    packets = [encoder.encode(nv12(i), i * TICKS, key_frame=i == 0) for i in range(30)]
    decoded = decode_all(packets)
    assert len(decoded) == 30
    assert min(psnr_db(rgb, image(i)) for i, rgb in enumerate(decoded)) > 34


def test_a_frame_refers_to_the_image_without_a_copy() -> None:
    given = np.arange(24 * 16, dtype=np.uint8).reshape(24, 16)
    frame = video_frame(given, 9000)
    assert (frame.width, frame.height, frame.format.name) == (16, 16, PIXELS)
    assert float(frame.time or 0) == 0.1
    given[0, 0] = 77
    np.testing.assert_array_equal(frame.to_ndarray(), given)


def test_time_stamps_pass_through() -> None:
    encoder = build()
    packets = [encoder.encode(nv12(i), i * TICKS + 9, key_frame=False) for i in range(3)]
    assert [packet.pts for packet in packets] == [9, 1509, 3009]
    assert [packet.dts for packet in packets] == [9, 1509, 3009]
    assert packets[0].time_base.denominator == 90_000


def test_only_requested_frames_are_key_frames() -> None:
    encoder = build()
    packets = [encoder.encode(nv12(i), i * TICKS, key_frame=i in (0, 7)) for i in range(12)]
    assert [i for i, packet in enumerate(packets) if packet.is_keyframe] == [0, 7]


def test_a_scene_change_causes_no_key_frame() -> None:
    encoder = build()
    encoder.encode(nv12(0), 0, key_frame=True)
    assert nal_types(encoder.encode(convert_to_nv12(noise(1)), TICKS, key_frame=False)) == [SLICE]


def test_decoding_can_start_at_a_key_frame() -> None:
    encoder = build()
    packets = [encoder.encode(nv12(i), i * TICKS, key_frame=i in (0, 5)) for i in range(8)]
    assert nal_types(packets[5]) == [SPS, PPS, IDR]
    decoded = decode_all(packets[5:])
    assert len(decoded) == 3
    assert psnr_db(decoded[0], image(5)) > 34


def test_frames_of_another_size_start_with_a_key_frame_at_the_same_bitrate() -> None:
    encoder = build()
    encoder.bitrate = 900_000
    halves = np.ascontiguousarray(image(1)[::2, ::2])
    frames = [nv12(0), convert_to_nv12(halves), convert_to_nv12(halves), nv12(3)]
    packets = [encoder.encode(f, TICKS * i, key_frame=i == 0) for i, f in enumerate(frames)]
    types = [nal_types(packet) for packet in packets]
    assert [SPS in found and IDR in found for found in types] == [True, True, False, True]
    decoded = decode_all(packets)
    assert [len(frame) for frame in decoded] == [SIDE, SIDE // 2, SIDE // 2, SIDE]
    assert psnr_db(decoded[2], halves) > 28
    assert encoder.bitrate == 900_000


def test_the_profile_is_constrained_baseline() -> None:
    packet = build().encode(nv12(0), 0, key_frame=True)
    sps = next(n for n in AiortcEncoder._split_bitstream(bytes(packet)) if n[0] & 0x1F == SPS)
    assert sps[1] == 66  # baseline
    assert sps[2] & 0x40  # constraint_set1_flag: no slice groups


def test_the_bitrate_changes_in_place() -> None:
    encoder = build(bitrate=3_000_000)

    def megabits_per_s(first: int) -> float:
        packets = [
            encoder.encode(convert_to_nv12(noise(i)), i * TICKS, False)
            for i in range(first, first + 60)
        ]
        assert not any(packet.is_keyframe for packet in packets)
        return sum(packet.size for packet in packets[30:]) * 8 / 0.5 / 1e6

    encoder.encode(convert_to_nv12(noise(0)), 0, key_frame=True)
    assert megabits_per_s(1) == pytest.approx(3.0, rel=0.25)
    encoder.bitrate = 800_000
    assert encoder.bitrate == 800_000
    megabits_per_s(61)
    assert megabits_per_s(121) == pytest.approx(0.8, rel=0.25)


def test_the_bitrate_cannot_exceed_the_highest() -> None:
    encoder = build(bitrate=9_000_000, highest_bitrate=2_000_000)
    assert encoder.bitrate == 2_000_000
    encoder.bitrate = 3_000_000
    assert encoder.bitrate == 2_000_000


def test_the_default_bitrate_grows_with_the_side() -> None:
    assert default_bitrate(256, 256) == 1_500_000
    assert default_bitrate(512, 512) == 3_000_000


def facing(x_m: float = 0.0) -> FrameState:
    """Return a face that fills about a third of the width, moved sideways."""
    return neutral_state(52, (x_m, -0.045, 0.78), 0.45)


def decoded_quantisers(packets: list[av.Packet[Any]]) -> list[NDArray[np.int32]]:
    """Return the quantisers of the macroblocks of each frame."""
    decoder = av.CodecContext.create("h264", "r")
    decoder.options = {"export_side_data": "venc_params"}
    frames = [frame for packet in [*packets, None] for frame in decoder.decode(packet)]
    attached: list[Any] = [frame.side_data for frame in frames]  # PyAV's types lack this key
    return [data["VIDEO_ENC_PARAMS"].qp_map() for data in attached]


def encoded(states: list[FrameState | None], bitrate: int = 600_000) -> list[av.Packet[Any]]:
    encoder = build(bitrate)
    return [
        encoder.encode(convert_to_nv12(noise(i)), i * TICKS, key_frame=i == 0, shown=state)
        for i, state in enumerate(states)
    ]


def test_the_quantiser_is_lower_in_the_face_and_follows_it() -> None:
    states: list[FrameState | None] = [facing(0.0), facing(-0.1)]
    for state, found in zip(states, decoded_quantisers(encoded(states)), strict=True):
        assert state is not None
        face = state.face_rectangle(SIDE)
        assert face is not None
        inside = np.zeros((SIDE // 16, SIDE // 16), bool)
        inside[face.top // 16 : -(-face.bottom // 16), face.left // 16 : -(-face.right // 16)] = (
            True
        )
        assert 6 < inside.sum() < 32
        assert found[~inside].mean() - found[inside].mean() == pytest.approx(2, abs=0.7)


def test_bits_move_to_the_face_and_the_bitrate_stays() -> None:
    plain, marked = encoded([None] * 40), encoded([facing()] * 40)
    bytes_of = [sum(packet.size for packet in packets[10:]) for packets in (plain, marked)]
    assert bytes_of[1] == pytest.approx(bytes_of[0], rel=0.1)
    face = facing().face_rectangle(SIDE)
    assert face is not None
    inside = np.s_[face.top : face.bottom, face.left : face.right]
    errors = [
        [
            psnr_db(rgb[inside], noise(10 + i)[inside])
            for i, rgb in enumerate(decode_all(packets)[10:])
        ]
        for packets in (plain, marked)
    ]
    assert np.mean(errors[1]) > np.mean(errors[0]) + 0.5


def test_a_face_outside_of_the_frame_changes_nothing() -> None:
    plain, beside = encoded([None] * 3), encoded([facing(0.6)] * 3)
    assert facing(0.6).face_rectangle(SIDE) is None
    assert [bytes(packet) for packet in plain] == [bytes(packet) for packet in beside]


def test_the_face_is_marked_in_frames_of_another_size() -> None:
    encoder = build()
    halves = convert_to_nv12(np.ascontiguousarray(noise(1)[::2, ::2]))
    packets = [
        encoder.encode(convert_to_nv12(noise(0)), 0, key_frame=True, shown=facing()),
        encoder.encode(halves, TICKS, key_frame=False, shown=facing()),
    ]
    small = decoded_quantisers(packets)[1]
    assert small.shape == (4, 4)
    assert small[1:3, 1:3].mean() < small[:, 0].mean() - 1


def test_the_coverage_below_the_colours_has_no_face() -> None:
    rows = layered_rows(SIDE)
    layered = np.zeros((rows, SIDE, 3), np.uint8)
    layered[:SIDE], layered[-SIDE:] = noise(0), noise(1)
    packet = build().encode(convert_to_nv12(layered), 0, key_frame=True, shown=facing())
    (found,) = decoded_quantisers([packet])
    face = facing().face_rectangle(SIDE)
    assert face is not None
    top, left, bottom, right = np.array(face) // 16 + [0, 0, 1, 1]
    coverage = found[-SIDE // 16 :]
    assert found[top:bottom, left:right].mean() < coverage.mean() - 1
    assert np.ptp(coverage) <= 1


def test_an_encoder_refers_to_no_frame_that_it_has_encoded() -> None:
    encoder, image_of_face = build(), convert_to_nv12(noise(0))
    held = weakref.ref(image_of_face)
    gc.disable()  # freed by reference counts, without the garbage collector
    try:
        encoder.encode(image_of_face, 0, key_frame=True, shown=facing())
        del image_of_face
        assert held() is None
    finally:
        gc.enable()
