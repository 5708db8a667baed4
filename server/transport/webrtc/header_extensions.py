"""Header extensions of an offered section, and whether its packets can be numbered for feedback."""

from __future__ import annotations

import re

from server.transport.webrtc.aiortc_internals.transport_feedback import TRANSPORT_CC_URI
from server.transport.webrtc.offer import Section

TRANSPORT_CC = "transport-cc"
"""Value of `a=rtcp-fb` by which the receiver offers to report on these numbers."""
_EXTENSION = re.compile(r"(\d{1,2})(?:/sendrecv)? +(\S+)")
_IDS = range(1, 15)  # one-byte header extensions (RFC 8285, section 4.2)


def read_extensions(section: Section) -> dict[int, str]:
    """Return the extensions that aiortc can use: one of each id and URI."""
    ids: dict[int, str] = {}
    for value in section.values("extmap"):
        found = _EXTENSION.match(value)
        if found is None or int(found[1]) not in _IDS or found[2] in ids.values():
            continue
        ids.setdefault(int(found[1]), found[2])
    return ids


def transport_cc_id(section: Section, feedback: tuple[str, ...]) -> int | None:
    """Return the id of the transport-wide numbers; None unless the section offers all they need.

    Args:
        section: The section of video or audio.
        feedback: Values of `a=rtcp-fb` of the chosen format.
    """
    if TRANSPORT_CC not in feedback:
        return None
    ids = (number for number, uri in read_extensions(section).items() if uri == TRANSPORT_CC_URI)
    return next(ids, None)
