"""Binary mesh frames, which the publish page sends; two fifths of the size of JSON.

Little-endian, without padding:

    uint8      1, the version
    uint64     seq
    float64    captured_at_ms, NaN where it is unknown
    int16 x 4  rotation of the head [x, y, z, w], steps of 1/32767
    int16 x 3  its translation, steps of 0.1 mm
    int16 x E  all coefficients in the avatar's order, steps of 0.0005

The steps are finer than the noise of trackers. `client_web/js/connection/packed_mesh.js` writes
them.
"""

from __future__ import annotations

from array import array
from math import isnan
from struct import Struct
from sys import byteorder

from pydantic import ValidationError

from server.errors import BadMessageError
from server.protocol.json_text import describe
from server.protocol.messages import MeshFrame

VERSION = 1
"""The first byte; JSON never begins with it."""
# The largest values of an int16 are 1, 3.3 m and 16, beyond all that trackers send.
ROTATION_STEP = 1 / 32767
TRANSLATION_STEP_M = 1e-4
COEFFICIENT_STEP = 5e-4
_HEAD = Struct("<BQd7h")
_COEFFICIENT_BYTES = 2


def is_packed(message: bytes) -> bool:
    """Whether a message is a packed frame rather than JSON."""
    return message[:1] == bytes((VERSION,))


def unpack_mesh(message: bytes) -> MeshFrame:
    """Unpack a frame. Its values have the same limits as those of JSON.

    Raises:
        BadMessageError: If its length does not fit a frame, or a value is out of range.
    """
    rest = len(message) - _HEAD.size
    if rest < 0 or rest % _COEFFICIENT_BYTES:
        raise BadMessageError(
            f"expected a packed frame of {_HEAD.size} bytes and {_COEFFICIENT_BYTES} for each "
            f"coefficient, got {len(message)} bytes"
        )
    _, seq, captured_at_ms, *pose = _HEAD.unpack_from(message)
    try:
        return MeshFrame.model_validate(
            {
                "seq": seq,
                "captured_at_ms": None if isnan(captured_at_ms) else captured_at_ms,
                "head": {
                    "rotation": tuple(step * ROTATION_STEP for step in pose[:4]),
                    "translation": tuple(step * TRANSLATION_STEP_M for step in pose[4:]),
                },
                "expression": _coefficients(message[_HEAD.size :]),
            }
        )
    except ValidationError as exc:
        raise BadMessageError(describe(exc)) from exc


def _coefficients(packed: bytes) -> list[float]:
    steps = array("h", packed)
    if byteorder == "big":  # `array` reads numbers as the machine stores them
        steps.byteswap()
    return [step * COEFFICIENT_STEP for step in steps]
