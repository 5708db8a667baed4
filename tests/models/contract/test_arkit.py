"""The spellings of ARKit's names that exporters write."""

import pytest

from models.contract.arkit import ARKIT_NAMES, arkit_name


@pytest.mark.parametrize(
    ("spelt", "meant"),
    [
        ("EYEBLINKLEFT", "eyeBlinkLeft"),
        ("EyeBlinkL", "eyeBlinkLeft"),
        ("browDown_r", "browDownRight"),
        ("Mouth_L", "mouthLeft"),
        ("blendShapes.JawOpen", "jawOpen"),
        ("BlendShapes_MouthSmileRight", "mouthSmileRight"),
        ("blendShape2.noseSneer_L", "noseSneerLeft"),
        ("head|mouthPucker", "mouthPucker"),
        ("eyeBlink.L", "eyeBlinkLeft"),
        ("rig:blendShape1.mouthSmile.R", "mouthSmileRight"),
        ("A14_Eye_Blink_Left", "eyeBlinkLeft"),
        ("|" * 10**6 + "jawOpen", "jawOpen"),
        (" jawOpen ", "jawOpen"),
        ("_neutral", None),
        ("jawOpened", None),
        ("", None),
    ],
)
def test_spellings_of_exporters_map_to_arkit_names(spelt: str, meant: str) -> None:
    assert arkit_name(spelt) == meant


def test_every_arkit_name_maps_to_itself() -> None:
    assert [arkit_name(name) for name in ARKIT_NAMES] == list(ARKIT_NAMES)
