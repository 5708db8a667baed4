"""Packets of the VMC protocol: names, presets, bones, bundles and refused packets."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.contract.arkit import ARKIT_NAMES
from models.geometry.camera import quaternion_to_matrix
from server.drivers.vmc import MOST_SENDERS, VmcReader
from server.drivers.vrm_presets import PRESETS, VRM_0, preset_name
from server.errors import BadMessageError
from tests.server.drivers.packets import APPLY, blend, bone, bundle, osc

LEFT, UP, OUT = np.eye(3)
MINE = "127.0.0.1"


def shown(*messages: bytes) -> Mapping[str, float]:
    """Return the coefficients that a bundle applies."""
    face = VmcReader().read_packet(bundle(*messages, APPLY), MINE)
    assert face is not None
    return face.coefficients


def test_values_take_effect_when_they_are_applied() -> None:
    reader = VmcReader()
    assert reader.read_packet(blend("JawOpen", 0.5), MINE) is None
    assert reader.read_packet(blend("mouthSmileLeft", 0.25), MINE) is None
    face = reader.read_packet(APPLY, MINE)
    assert face is not None
    assert (face.subject, face.sender) == ("vmc", MINE)
    assert face.coefficients == {"jawOpen": 0.5, "mouthSmileLeft": 0.25}


def test_values_that_are_not_sent_again_remain() -> None:
    reader = VmcReader()
    reader.read_packet(bundle(blend("jawOpen", 0.5), APPLY), MINE)
    face = reader.read_packet(bundle(blend("tongueOut", 1.0), APPLY), MINE)
    assert face is not None
    assert face.coefficients == {"jawOpen": 0.5, "tongueOut": 1.0}


@pytest.mark.parametrize("name", ["eyeBlinkLeft", "EyeBlinkLeft", "EYEBLINKLEFT", "eyeBlink_L"])
def test_spellings_of_arkit_names_are_accepted(name: str) -> None:
    assert shown(blend(name, 0.75)) == {"eyeBlinkLeft": 0.75}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("A", "aa", "Aa"), {"jawOpen": 0.6}),
        (("Joy", "happy"), PRESETS["happy"]),
        (("Sorrow", "sad"), PRESETS["sad"]),
        (("Fun", "relaxed"), PRESETS["relaxed"]),
        (("Blink_L", "blinkLeft"), {"eyeBlinkLeft": 1.0}),
        (("LookLeft", "lookLeft"), {"eyeLookOutLeft": 1.0, "eyeLookInRight": 1.0}),
        (("Neutral", "neutral", "Hat_Off"), {}),
    ],
)
def test_presets_of_both_vrm_versions_move_the_face(
    names: tuple[str, ...], expected: dict[str, float]
) -> None:
    for name in names:
        assert shown(blend(name, 1.0)) == pytest.approx(expected), name


def test_every_preset_is_made_of_coefficients_of_arkit() -> None:
    assert len(PRESETS) == 18
    for name, coefficients in PRESETS.items():
        assert set(coefficients) <= set(ARKIT_NAMES), name
        assert preset_name(name.upper()) == name
    assert set(VRM_0.values()) <= set(PRESETS)


def test_presets_add_up_weighted_by_their_values() -> None:
    face = shown(blend("aa", 0.5), blend("Surprised", 0.5), blend("blink", 1.0))
    assert face["jawOpen"] == pytest.approx(0.5 * 0.6 + 0.5 * 0.3)
    assert face["eyeBlinkRight"] == 1.0


def test_presets_are_ignored_beside_arkit_names() -> None:
    assert shown(blend("A", 1.0), blend("jawOpen", 0.3)) == {"jawOpen": pytest.approx(0.3)}


@pytest.mark.parametrize(
    ("turned", "axis", "towards"),
    [
        ((0, np.sin(0.2), 0, np.cos(0.2)), OUT, -LEFT),  # Unity: +Y turns to the model's right
        ((np.sin(0.2), 0, 0, np.cos(0.2)), OUT, -UP),  # +X nods
        ((0, 0, np.sin(0.2), np.cos(0.2)), UP, LEFT),  # +Z tips the crown to the left shoulder
    ],
)
def test_a_head_rotation_turns_the_avatar_in_the_same_direction(
    turned: tuple[float, ...],
    axis: np.ndarray[tuple[int], np.dtype[np.float64]],
    towards: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> None:
    face = VmcReader().read_packet(bundle(bone("Head", *turned), APPLY), MINE)
    assert face is not None
    moved = quaternion_to_matrix(face.head_rotation) @ axis
    assert moved @ towards == pytest.approx(np.sin(0.4), abs=1e-6)


def test_rotations_of_the_spine_bones_add_up_and_others_are_ignored() -> None:
    half = (0, np.sin(0.1), 0, np.cos(0.1))
    bones = [bone(name, *half) for name in ("Neck", "Head", "Hips", "LeftHand")]
    face = VmcReader().read_packet(bundle(*bones, APPLY), MINE)
    assert face is not None
    assert face.head_rotation == pytest.approx([0, -np.sin(0.2), 0, np.cos(0.2)], abs=1e-6)


def test_senders_are_kept_apart_and_bounded() -> None:
    reader = VmcReader()
    reader.read_packet(blend("jawOpen", 0.5), "10.0.0.1")
    face = reader.read_packet(APPLY, "10.0.0.2")
    assert face is not None
    assert face.coefficients == {}
    for number in range(MOST_SENDERS):
        reader.read_packet(APPLY, f"10.0.1.{number}")
    forgotten = reader.read_packet(APPLY, "10.0.0.1")
    assert forgotten is not None
    assert forgotten.coefficients == {}


def nested(levels: int) -> bytes:
    packet = APPLY
    for _ in range(levels):
        packet = bundle(packet)
    return packet


def test_nested_bundles_are_read_up_to_a_depth() -> None:
    assert VmcReader().read_packet(nested(4), MINE) is not None
    for levels in (5, 400):
        with pytest.raises(BadMessageError, match="few levels"):
            VmcReader().read_packet(nested(levels), MINE)


@pytest.mark.parametrize(
    ("packet", "said"),
    [
        (b"", "expected an OSC message or bundle"),
        (b"#bundle\0", "expected a bundle with a time"),
        (bundle(APPLY)[:-4], "expected elements within the bundle"),
        (b"#bundle\0" + b"\0" * 8 + b"\xff\xff\xff\xfc", "expected elements within the bundle"),
        (b"#bundle\0" + b"\0" * 8 + b"\0" * 40, "got one of 0 bytes"),
        (osc("/VMC/Ext/Blend/Val", "jawOpen"), "expected arguments sf, got s"),
        (osc("/VMC/Ext/Blend/Val", 0.5, "jawOpen"), "expected arguments sf, got fs"),
        (blend("jawOpen", 0.5)[:-12], "got a broken one"),
        (blend("jawOpen", 0.5).replace(b"jaw", b"\xff\xff\xff"), "got a broken one"),
        (blend("jawOpen", float("nan")), "expected finite numbers"),
        (bone("Head", 0, 0, 0, 0), "expected a unit quaternion"),
        (bone("Head", 0, 0, float("inf"), 1), "expected finite numbers"),
    ],
)
def test_a_malformed_packet_is_refused_with_the_reason(packet: bytes, said: str) -> None:
    with pytest.raises(BadMessageError, match=said):
        VmcReader().read_packet(packet, MINE)


def test_a_malformed_bundle_is_refused_as_a_whole() -> None:
    reader = VmcReader()
    with pytest.raises(BadMessageError):
        reader.read_packet(bundle(blend("jawOpen", 0.5), b"nothing"), MINE)
    face = reader.read_packet(APPLY, MINE)
    assert face is not None
    assert face.coefficients == {}


def test_messages_of_other_kinds_are_skipped_without_a_log_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    other = osc("/VMC/Ext/T", 1.0).replace(b",f\0\0", b",x\0\0")
    assert VmcReader().read_packet(bundle(other, osc("/VMC/Ext/OK", 1.0)), MINE) is None
    assert caplog.records == []


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(packet: bytes) -> None:
    for prefix in (b"", b"/VMC/Ext/Blend/Val\0\0,sf\0", b"#bundle\0" + b"\0" * 8):
        try:
            VmcReader().read_packet(prefix + packet, MINE)
        except BadMessageError:
            continue


@given(st.integers(0, 300), st.binary(min_size=1, max_size=6))
def test_a_damaged_bundle_gives_finite_values_or_is_refused(at: int, garbage: bytes) -> None:
    packet = bundle(blend("jawOpen", 0.5), bone("Head", 0, 0, 0, 1), blend("A", 1.0), APPLY)
    try:
        face = VmcReader().read_packet(packet[:at] + garbage + packet[at + len(garbage) :], MINE)
    except BadMessageError:
        return
    if face is not None:
        assert np.isfinite(list(face.coefficients.values())).all()
        assert np.linalg.norm(face.head_rotation) == pytest.approx(1, abs=1e-5)
