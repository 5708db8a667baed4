"""Read an SDP offer into its sections: bounded, in linear time, without judging what it offers.

aiortc's parser trusts its input: it raises whatever a malformed line leads to, and takes quadratic
time for many lines. It therefore only sees offers that `negotiation.py` has written from these
sections. Grammar: RFC 8866, RFC 8839 (ICE), RFC 9143 (BUNDLE), RFC 9429 (JSEP).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from models.contract.shown_text import quoted
from server.errors import BadOfferError

RECEIVING = ("recvonly", "sendrecv")
"""Directions of sections that the offerer receives."""
SENDING = ("sendonly", "sendrecv")
"""Directions of sections that the offerer sends."""
DIRECTIONS = ("inactive", "sendonly", *RECEIVING)
_LONGEST_SDP = 64 * 1024
_MOST_LINES = 1000
"""A browser that offers every codec for audio and video, and data, sends some 250 lines, 10 kB."""
_MOST_SECTIONS = 32
_LONGEST_LINE = 2048
_LINE_END = re.compile(r"\r\n|\r|\n")
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"  # RFC 8866, section 9
_LINE = re.compile(r"([a-z])=([^\x00-\x08\x0a-\x1f\x7f]*)")
_MEDIA = re.compile(rf"({_TOKEN}) (\d{{1,5}})(?:/\d{{1,5}})? ({_TOKEN}(?:/{_TOKEN})*) (.+)")
_FORMATS = re.compile(rf"{_TOKEN}(?: +{_TOKEN})*")
_ATTRIBUTE = re.compile(rf"({_TOKEN})(?::(.*))?")
_RTP = re.compile(r"(?:UDP/TLS/|TCP/DTLS/|TCP/TLS/)?RTP/S?AVPF?", re.IGNORECASE)
_PAYLOAD_TYPE = re.compile(r"\d{1,3}")
_HIGHEST_TYPE = 127
_MID = re.compile(rf"{_TOKEN}")
_LONGEST_MID = 64
_MUXED = ("rtcp-mux", "rtcp-mux-only")

Attributes = Mapping[str, tuple[str, ...]]
"""Values by lower-case attribute name, in order; "" for an attribute without value."""


@dataclass(frozen=True)
class Section:
    """One `m=` section."""

    index: int
    """Position among the sections, from 0."""
    kind: str
    """`audio`, `video`, `application`, or anything else."""
    port: int
    protocol: str
    formats: tuple[str, ...]
    """Payload types of audio and video."""
    own: Attributes
    session: Attributes
    """Attributes at session level: the default of the sections for most of them."""

    @property
    def mid(self) -> str | None:
        """Its identification; None without `a=mid`."""
        return next(iter(self.own.get("mid", ())), None)

    @property
    def key(self) -> str:
        """Its mid, or a name that no mid of an offer has."""
        return self.mid if self.mid is not None else f"({self.index})"

    @property
    def has_rtcp_mux(self) -> bool:
        """Whether RTCP comes by the port of RTP."""
        return any(self.values(name) for name in _MUXED)

    @property
    def direction(self) -> str:
        """Its direction, else the session's, else `sendrecv` (RFC 8866, section 6.7)."""
        given = (d for level in (self.own, self.session) for d in DIRECTIONS if d in level)
        return next(given, "sendrecv")

    @property
    def is_rejected(self) -> bool:
        """Whether the offer itself turns it off (port 0, but not to be bundled)."""
        return self.port == 0 and "bundle-only" not in self.own

    @property
    def is_rtp(self) -> bool:
        """Whether its protocol carries RTP."""
        return _RTP.fullmatch(self.protocol) is not None

    @property
    def name(self) -> str:
        """Its name in error messages."""
        return f"section {self.index} ({self.kind})"

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values of an attribute, else those at session level."""
        return self.own.get(name) or self.session.get(name, ())


@dataclass(frozen=True)
class Offer:
    """An SDP offer whose lines are well-formed."""

    sections: tuple[Section, ...]
    session: Attributes

    @property
    def bundles(self) -> list[tuple[Section, ...]]:
        """The BUNDLE groups: sections that share one transport, the tagged one first."""
        by_mid = {section.mid: section for section in self.sections}
        groups = (value.split() for value in self.session.get("group", ()))
        found = (
            tuple(by_mid[mid] for mid in dict.fromkeys(group[1:]) if mid in by_mid)
            for group in groups
            if group and group[0].upper() == "BUNDLE"
        )
        return [group for group in found if group]

    def of_kind(self, kind: str) -> list[Section]:
        """Return the sections of a kind, in their order."""
        return [section for section in self.sections if section.kind == kind]


def read_lines(sdp: str) -> list[tuple[str, str]]:
    """Split SDP, or a part of it, into lines of a type and a value.

    Raises:
        BadOfferError: If it is too long, has too many lines, or one is too long or no SDP.
    """
    if len(sdp) > _LONGEST_SDP:
        raise BadOfferError(f"expected SDP of at most {_LONGEST_SDP} characters, got {len(sdp)}")
    # Bounded before and after the split, so that no pattern sees an unbounded text.
    lines = [line.strip() for line in _LINE_END.split(sdp.removeprefix("\ufeff"))]
    lines = [line for line in lines if line]
    if len(lines) > _MOST_LINES:
        raise BadOfferError(f"expected at most {_MOST_LINES} lines of SDP, got {len(lines)}")
    return [_read_line(line) for line in lines]


def _read_line(line: str) -> tuple[str, str]:
    if len(line) > _LONGEST_LINE:
        raise BadOfferError(
            f"expected SDP lines of at most {_LONGEST_LINE} characters, got {len(line)}"
        )
    found = _LINE.fullmatch(line)
    if found is None:
        raise BadOfferError(f"expected SDP lines such as 'a=mid:0', got {quoted(line)}")
    return found[1], found[2]


def parse_offer(sdp: str) -> Offer:
    """Parse an SDP offer; lines may end with CRLF or LF, and attributes have any letter case.

    Raises:
        BadOfferError: If it is no SDP, exceeds a limit, or two sections have the same mid.
    """
    levels: list[list[str]] = [[]]
    media: list[str] = []
    for kind, value in read_lines(sdp):
        if kind == "m":
            media.append(value)
            levels.append([])
        elif kind == "a":
            levels[-1].append(value)
    if not media:
        raise BadOfferError(f"expected an SDP offer with sections (m=...), got {quoted(sdp)}")
    if len(media) > _MOST_SECTIONS:
        raise BadOfferError(f"expected at most {_MOST_SECTIONS} sections, got {len(media)}")
    session, *own = (_attributes(lines) for lines in levels)
    sections = [
        _section(i, line, mine, session)
        for i, (line, mine) in enumerate(zip(media, own, strict=True))
    ]
    _check_mids(sections)
    return Offer(tuple(sections), session)


def _attributes(lines: list[str]) -> Attributes:
    values: dict[str, list[str]] = {}
    for line in lines:
        if (found := _ATTRIBUTE.fullmatch(line)) is None:
            raise BadOfferError(f"expected an SDP attribute, got {quoted('a=' + line)}")
        values.setdefault(found[1].lower(), []).append((found[2] or "").strip())
    return {name: tuple(found) for name, found in values.items()}


def _section(index: int, line: str, own: Attributes, session: Attributes) -> Section:
    found = _MEDIA.fullmatch(line)
    if found is None or int(found[2]) > 65535 or not _FORMATS.fullmatch(found[4]):
        raise BadOfferError(
            "expected a section such as 'm=video 9 UDP/TLS/RTP/SAVPF 96', "
            f"got {quoted('m=' + line)}"
        )
    formats = tuple(found[4].split())
    section = Section(index, found[1], int(found[2]), found[3], formats, own, session)
    wrong = [f for f in formats if not _PAYLOAD_TYPE.fullmatch(f) or int(f) > _HIGHEST_TYPE]
    if section.is_rtp and section.kind in ("audio", "video") and wrong:
        raise BadOfferError(
            f"expected payload types up to {_HIGHEST_TYPE} in {section.name}, "
            f"got {quoted(wrong[0])}"
        )
    return section


def _check_mids(sections: list[Section]) -> None:
    seen: set[str] = set()
    for section in sections:
        mids = section.own.get("mid", ())
        for mid in mids:
            if len(mid) > _LONGEST_MID or not _MID.fullmatch(mid) or len(mids) > 1:
                raise BadOfferError(
                    f"expected one a=mid of at most {_LONGEST_MID} token characters in "
                    f"{section.name}, got {quoted(', '.join(mids))}"
                )
            if mid in seen:
                raise BadOfferError(f"expected sections of different mids, got {mid!r} twice")
            seen.add(mid)
