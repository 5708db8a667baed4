"""The size of a viewer's display, from `?display=`."""

from __future__ import annotations

import re

from models.contract.shown_text import quoted
from server.errors import BadMessageError
from server.protocol.messages import LARGEST_DISPLAY_PX

_NUMBER = re.compile("[0-9]{1,5}")


def parse_display(text: str | None) -> int:
    """Return the rows of the frame on the viewer's screen that `?display=` names; 0 without it.

    Raises:
        BadMessageError: If it is not a number from 1 to `LARGEST_DISPLAY_PX`.
    """
    if text is None:
        return 0
    if _NUMBER.fullmatch(text) and 1 <= int(text) <= LARGEST_DISPLAY_PX:
        return int(text)
    raise BadMessageError(
        f"display: expected a number from 1 to {LARGEST_DISPLAY_PX}, got {quoted(text)}"
    )
