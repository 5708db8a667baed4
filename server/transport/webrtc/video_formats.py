"""Choose the video format of an answer among the payload types of an offered section.

The server encodes H.264 in constrained baseline, which decoders of every other profile decode as
well, in packets of packetization mode 1, which every WebRTC endpoint supports (RFC 7742, section
6.2). An offer of H.264 in mode 0 alone is refused: the packets would be larger than it permits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aiortc.sdp import H264_PROFILE_PATTERNS, H264Profile

from models.contract.shown_text import shown
from server.encoding.codecs import Codec, choose_codec
from server.errors import BadOfferError
from server.transport.webrtc.aiortc_internals.payload_types import DYNAMIC_PAYLOAD_TYPES
from server.transport.webrtc.offer import Section

_CLOCK_RATE = "90000"
_DEFAULT_PROFILE = "42e01f"
"""Profile of an offer without one, as in older versions of WebRTC: constrained baseline, level
3.1."""
_RTPMAP = re.compile(r"(\d{1,3}) +([A-Za-z0-9._-]+)/(\d{1,6})(?:/(\d{1,2}))?")
_FOR_TYPE = re.compile(r"(\d{1,3}|\*) +(.+)")
_PROFILE_ID = re.compile(r"[0-9A-Fa-f]{6}")
_PROFILES = list(H264Profile)
"""Profiles in the order of preference: constrained baseline, which the server encodes, comes
first."""
_OTHER_PROFILES = (66, 77, 88, 100, 110, 118, 122, 128, 244)
"""`profile_idc` of all whose decoders decode constrained baseline (H.264, annexes A and H): with
constraint flags that aiortc does not know, they are ranked last."""
_INTRA_ALONE = (110, 122, 244)
_INTRA_FLAG = 0x10
"""`constraint_set3_flag`, with which these profiles decode intra frames only."""


@dataclass(frozen=True)
class Format:
    """One offered payload type."""

    payload_type: int
    name: str
    """As offered, such as `VP8`."""
    clock_rate: str
    channels: str | None
    """Channels of audio; None if not given."""
    parameters: dict[str, str]
    """Parameters of `a=fmtp`; the names are lower-case."""
    feedback: tuple[str, ...]
    """Values of `a=rtcp-fb`, without the payload type."""

    def is_named(self, name: str) -> bool:
        """Whether this is the format's name; case does not matter."""
        return self.name.lower() == name.lower()


@dataclass(frozen=True)
class VideoFormat:
    """The chosen payload type, and that of its retransmissions."""

    codec: Codec
    format: Format
    retransmission: int | None

    @property
    def profile(self) -> str:
        """`profile-level-id` of H.264, as offered."""
        return self.format.parameters.get("profile-level-id", _DEFAULT_PROFILE)


def read_formats(section: Section) -> list[Format]:
    """Return a section's formats that have an `a=rtpmap` and a dynamic payload type."""
    parameters = {key: _parameters(text) for key, text in _by_type(section, "fmtp")}
    feedback: dict[str, list[str]] = {}
    for key, text in _by_type(section, "rtcp-fb"):
        feedback.setdefault(key, []).append(text)
    found = [_RTPMAP.fullmatch(value) for value in section.own.get("rtpmap", ())]
    # Reversed, so that the first of several definitions of a payload type counts.
    known = {m[1]: m for m in reversed(found) if m is not None}
    return [
        Format(
            int(number),
            known[number][2],
            known[number][3],
            known[number][4],
            parameters.get(number, {}),
            # `*` stands for all payload types (RFC 4585, section 4.2).
            tuple(feedback.get(number, []) + feedback.get("*", [])),
        )
        for number in dict.fromkeys(section.formats)
        if number in known and int(number) in DYNAMIC_PAYLOAD_TYPES
    ]


def choose_video_format(section: Section, preferred: Sequence[Codec]) -> VideoFormat:
    """Choose the format to send.

    Args:
        section: An offered video section.
        preferred: Codecs of the settings, the preferred one first.

    Raises:
        BadOfferError: If there is none that the server can send.
    """
    formats = [f for f in read_formats(section) if f.clock_rate == _CLOCK_RATE]
    usable: dict[str, Format] = {}
    for codec, named in ((codec, f) for codec in preferred for f in formats):
        if named.is_named(codec) and _rank(codec, named) is not None:
            best = usable.get(codec.mime_type)
            if best is None or (_rank(codec, named) or 0) < (_rank(codec, best) or 0):
                usable[codec.mime_type] = named
    chosen = choose_codec(preferred, usable)
    if chosen is None:
        raise BadOfferError(_unsupported_message(section, formats, preferred))
    return VideoFormat(
        chosen, usable[chosen.mime_type], _retransmission(usable[chosen.mime_type], formats)
    )


def _rank(codec: Codec, offered: Format) -> int | None:
    """Return the rank of a format, 0 for the best; None for an unusable one."""
    if codec is not Codec.H264:
        return 0
    if offered.parameters.get("packetization-mode", "1") != "1":
        return None
    given = offered.parameters.get("profile-level-id", _DEFAULT_PROFILE)
    if not _PROFILE_ID.fullmatch(given):
        return None
    number, flags = int(given[:2], 16), int(given[2:4], 16)
    profiles = (
        p for idc, pattern, p in H264_PROFILE_PATTERNS if idc == number and pattern.matches(flags)
    )
    if (found := next(profiles, None)) is not None:
        return _PROFILES.index(found)
    intra_only = number in _INTRA_ALONE and flags & _INTRA_FLAG
    return None if number not in _OTHER_PROFILES or intra_only else len(_PROFILES)


def _retransmission(chosen: Format, formats: Sequence[Format]) -> int | None:
    apt = str(chosen.payload_type)
    matching = (
        f.payload_type for f in formats if f.is_named("rtx") and f.parameters.get("apt") == apt
    )
    return next(matching, None)


def _unsupported_message(
    section: Section, formats: Sequence[Format], preferred: Sequence[Codec]
) -> str:
    # Without any, the payload types are not dynamic or the clock rates are wrong.
    rtpmaps = ", ".join(f"a=rtpmap:{value}" for value in section.own.get("rtpmap", ()))
    names = ", ".join(dict.fromkeys(f.name for f in formats)) or rtpmaps or "no codec"
    text = (
        f"expected an offer of {' or '.join(preferred)}, got {shown(names, 80)} in {section.name}"
    )
    h264 = [f.parameters for f in formats if f.is_named(Codec.H264)]
    if h264 and Codec.H264 in preferred:
        got = "; ".join(
            f"packetization-mode={p.get('packetization-mode', '1')[:9]} "
            f"profile-level-id={p.get('profile-level-id', _DEFAULT_PROFILE)[:9]}"
            for p in h264[:4]
        )
        text += f": H264 needs packetization-mode=1 and a known profile-level-id, got {got}"
    return text


def _by_type(section: Section, attribute: str) -> list[tuple[str, str]]:
    found = (_FOR_TYPE.fullmatch(value) for value in section.own.get(attribute, ()))
    return [(m[1], m[2].strip()) for m in found if m is not None]


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.strip().partition("=") for part in text.split(";"))
    return {name.strip().lower(): value.strip() for name, _, value in pairs if name}
