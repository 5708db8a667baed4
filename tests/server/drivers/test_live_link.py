"""Packets of Live Link Face: layout, order of the coefficients, directions of the angles."""

from __future__ import annotations

import csv
import struct
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.geometry.camera import quaternion_to_matrix
from server.drivers.live_link import read_packet
from server.errors import BadMessageError
from tests.server.drivers.packets import DEVICE, UNREAL_ORDER, live_link, metahuman

SHARED = Path(__file__).parents[4] / "shared" / "data" / "streams"
LEFT, UP, OUT = np.eye(3)


def test_every_value_gets_the_name_at_its_index() -> None:
    sent = {name: (at + 1) / 100 for at, name in enumerate(UNREAL_ORDER)}
    face = read_packet(live_link(sent, "Maria K."), "10.0.0.7")
    assert face is not None
    assert (face.subject, face.sender) == ("Maria K.", f"10.0.0.7 {DEVICE}")
    assert face.captured_at_ms == pytest.approx(1000 * 3_000_000.25 / 60)
    assert len(face.coefficients) == 52
    for name in UNREAL_ORDER[:52]:
        arkit = name[0].lower() + name[1:]
        assert face.coefficients[arkit] == pytest.approx(sent[name]), name


def test_the_jaw_and_mouth_are_left_before_right() -> None:
    packet = bytearray(live_link({}))
    struct.pack_into(">f", packet, len(packet) - 61 * 4 + 15 * 4, 0.7)
    struct.pack_into(">f", packet, len(packet) - 61 * 4 + 22 * 4, 0.4)
    face = read_packet(bytes(packet), "")
    assert face is not None
    assert face.coefficients["jawLeft"] == pytest.approx(0.7)
    assert face.coefficients["jawRight"] == 0
    assert face.coefficients["mouthRight"] == pytest.approx(0.4)


@pytest.mark.parametrize("device", ["x", "short-id", "0" * 36, "ä" * 50])
def test_ids_of_every_length_are_read(device: str) -> None:
    face = read_packet(live_link({"JawOpen": 0.5}, "s", device=device), "a")
    assert face is not None
    assert face.sender == f"a {device}"
    assert face.coefficients["jawOpen"] == 0.5


@pytest.mark.parametrize(
    ("angle", "axis", "towards"),
    [
        ("HeadYaw", OUT, -LEFT),  # the app counts to the right
        ("HeadPitch", OUT, -UP),
        ("HeadRoll", UP, LEFT),
    ],
)
def test_a_head_rotation_turns_the_avatar_in_the_same_direction(
    angle: str,
    axis: np.ndarray[tuple[int], np.dtype[np.float64]],
    towards: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    face = read_packet(live_link({angle: 0.4}), "")
    assert face is not None
    turned = quaternion_to_matrix(face.head_rotation) @ axis
    assert turned @ towards == pytest.approx(np.sin(0.4), abs=1e-6)


def test_head_angles_of_a_real_recording_agree_with_its_coefficients() -> None:
    """The eyes of a real recording confirm the unit and signs that the reader assumes."""
    path = SHARED / "llf_alex_rom_3.csv"
    if not path.exists():
        pytest.skip(f"{path} is absent: a recording that is not part of this repository")
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))

    def column(name: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return np.array([float(row[name]) for row in rows])

    left = column("EyeLookOutLeft") - column("EyeLookInLeft")
    down = column("EyeLookDownLeft") - column("EyeLookUpLeft")
    assert np.corrcoef(left, column("LeftEyeYaw"))[0, 1] < -0.9
    assert np.corrcoef(down, column("LeftEyePitch"))[0, 1] > 0.9
    # 35 degrees, which is an eye's full deflection, only if the unit is radians.
    assert 0.5 < np.abs(column("LeftEyeYaw")).max() < 0.7


def test_a_packet_without_a_face_is_accepted() -> None:
    assert read_packet(live_link(None), "") is None


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (b"", "expected a packet of version 6, got an empty one"),
        (b"\x05" + live_link({})[1:], "got version 5"),
        (live_link({})[:-1], "61 values in 244 bytes, got 61 in 243"),
        (live_link({}) + b"\0", "got 61 in 245"),
        (live_link({"JawOpen": float("nan")}), "expected finite values"),
        (live_link({}, rate=(0, 1)), "expected a frame, a part of it and a positive rate"),
        (live_link({}, subframe=float("nan")), "time code: expected a frame"),
        (live_link({}, subject=""), "subject: expected 1 to 256 bytes"),
        (b"\x06\xff\xff\xff\xff" + b"x" * 300, "device id: expected 1 to 256 bytes"),
        (live_link(None)[:60], "time code: expected 16 bytes"),
        (live_link({}).replace(b"iPhone", b"\xff" * 6), "subject: expected UTF-8"),
        (metahuman(), "choose the ARKit mode in the app"),
        (b"\x06\x00" + metahuman()[2:], "choose the ARKit mode in the app"),
    ],
)
def test_a_malformed_packet_is_refused_with_the_reason(packet: bytes, said: str) -> None:
    with pytest.raises(BadMessageError, match=said):
        read_packet(packet, "10.0.0.7")


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(packet: bytes) -> None:
    with pytest.raises(BadMessageError) as caught:
        read_packet(packet, "")
    assert len(str(caught.value)) < 300


@given(st.integers(0, 400), st.binary(min_size=1, max_size=8))
def test_a_damaged_packet_is_read_or_refused_as_a_whole(at: int, garbage: bytes) -> None:
    packet = live_link({"JawOpen": 0.5, "HeadYaw": 0.2})
    damaged = packet[:at] + garbage + packet[at + len(garbage) :]
    try:
        face = read_packet(damaged, "")
    except BadMessageError:
        return
    if face is not None:
        assert len(face.coefficients) == 52
        assert np.isfinite(list(face.coefficients.values())).all()
        assert np.isfinite(face.head_rotation).all()


@given(st.integers(0, 350))
def test_a_truncated_packet_is_refused_or_has_no_face(size: int) -> None:
    packet = live_link({"JawOpen": 0.5})
    if size >= len(packet):
        return
    try:
        assert read_packet(packet[:size], "") is None
    except BadMessageError:
        return
    assert size == len(live_link(None))
