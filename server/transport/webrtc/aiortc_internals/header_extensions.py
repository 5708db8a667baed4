"""Header extensions that aiortc does not know, negotiated beside its own."""

from __future__ import annotations

from typing import Literal

import aiortc.codecs
import aiortc.rtp
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters


def add_header_extension(
    kind: Literal["audio", "video"],
    uri: str,
    header_map: type[aiortc.rtp.HeaderExtensionsMap] | None = None,
) -> None:
    """Make every later connection negotiate an extension, by a map that has it.

    aiortc looks up `aiortc.rtp.HeaderExtensionsMap` when it creates senders and receivers, so
    replacing that name is enough. Adding the same extension again changes nothing.

    Args:
        kind: The media that it is offered and answered for.
        uri: Names the extension in SDP.
        header_map: Reads or writes it, in addition to those added earlier; None for an extension
            that aiortc reads and writes, but does not negotiate.
    """
    known = aiortc.codecs.HEADER_EXTENSIONS[kind]
    if any(extension.uri == uri for extension in known):
        return
    known.append(RTCRtpHeaderExtensionParameters(id=_id_for(uri), uri=uri))
    if header_map is not None:
        aiortc.rtp.HeaderExtensionsMap = header_map  # type: ignore[misc]  # a class, replaced for all


def _id_for(uri: str) -> int:
    """Return the id of an extension in the other media, or a free one.

    Audio and video share one id space when they are bundled, in which an extension has one id.
    """
    groups = aiortc.codecs.HEADER_EXTENSIONS.values()
    taken = {extension.id: extension.uri for group in groups for extension in group}
    same = (number for number, other in taken.items() if other == uri)
    # RFC 8285: one-byte header extensions have the ids 1 to 14.
    free = (number for number in range(1, 15) if number not in taken)
    return next(same, None) or next(free)
