"""The background that a viewer requests with `?background=`."""

from __future__ import annotations

import re

from models.contract.backdrop import TRANSPARENT, Backdrop
from models.contract.shown_text import quoted
from server.errors import BadMessageError

_TRANSPARENT = "transparent"
_COLOUR = re.compile("[0-9a-fA-F]{6}")


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
            f"got {quoted(text)}"
        )
    red, green, blue = bytes.fromhex(text)
    return Backdrop((red, green, blue))
