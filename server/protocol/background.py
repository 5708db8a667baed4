"""The background that a viewer requests with `?background=`."""

from __future__ import annotations

import re

from models.contract.backdrop import TRANSPARENT, Backdrop
from server.errors import BadMessageError

_TRANSPARENT = "transparent"
_COLOUR = re.compile("[0-9a-fA-F]{6}")
_SHOWN = 40
"""Maximum number of characters of a wrong value in its error message."""


def parse_background(text: str | None) -> Backdrop | None:
    """Return the backdrop that `?background=` names; None where it is missing.

    Raises:
        BadMessageError: If it is neither `RRGGBB` nor `transparent`.
    """
    if text is None:
        return None
    if text == _TRANSPARENT:
        return TRANSPARENT
    if not _COLOUR.fullmatch(text):
        raise BadMessageError(
            "background: expected six hexadecimal digits, RRGGBB, or transparent, "
            f"got {text[:_SHOWN]!r}"
        )
    red, green, blue = bytes.fromhex(text)
    return Backdrop((red, green, blue))
