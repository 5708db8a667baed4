"""Answer every section of an offer: those that the server can use, and the others with port 0.

aiortc answers only offers whose sections it can all use. `Negotiation` therefore writes an offer of
the accepted sections for it, each with one format and checked attributes, and completes its answer
with what the offer has beyond them (RFC 3264, section 6; RFC 9429, section 5.3).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from aiortc.rtcdtlstransport import X509_DIGEST_ALGORITHMS

from server.encoding.codecs import Codec
from server.errors import BadOfferError
from server.transport.webrtc.header_extensions import (
    TRANSPORT_CC,
    TRANSPORT_CC_URI,
    read_extensions,
    transport_cc_id,
)
from server.transport.webrtc.offer import RECEIVING, SENDING, Offer, Section
from server.transport.webrtc.video_formats import (
    Format,
    VideoFormat,
    choose_video_format,
    read_formats,
)

_ICE_USER = re.compile(r"[A-Za-z0-9+/]{4,256}")
_ICE_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(r"(\S+) +((?:[0-9A-Fa-f]{2}:)*[0-9A-Fa-f]{2})")
_MOST_FINGERPRINTS = 8
_SETUPS = ("actpass", "active", "passive")
_REMB = "goog-remb"
_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", _REMB})
_RTP = re.compile(r"(?:UDP/TLS/|TCP/DTLS/|TCP/TLS/)?RTP/S?AVPF?")
_SCTP = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
_OLD_SCTP = "DTLS/SCTP"
_DATA_CHANNEL = "webrtc-datachannel"
_DEFAULT_SCTP_PORT = 5000
_DEFAULT_MESSAGE_SIZE = 65536  # RFC 8841, section 6
_NUMBER = re.compile(r"\d{1,10}")
_ICE_LITE = "ice-lite"


@dataclass(frozen=True)
class AcceptedSection:
    """A section to be answered, as given to aiortc."""

    section: Section
    protocol: str
    """The protocol given to aiortc; the answer has the offered one."""
    formats: tuple[str, ...]
    direction: str | None
    """As offered to aiortc; None for data channels."""
    attributes: tuple[str, ...]
    """Of its formats, without `a=`."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Texts of aiortc's answer and what the answer has instead."""
    transport_cc: int | None = None
    """Id of the header extension that numbers its packets for feedback; None without."""

    @property
    def mid(self) -> str:
        """Its mid for aiortc, also where the offer has none."""
        return self.section.mid or f"telewarp-{self.section.index}"


def choose_video(offer: Offer, preferred: Sequence[Codec]) -> tuple[AcceptedSection, VideoFormat]:
    """Choose the section to send the video in: the first that receives a codec of ours.

    Raises:
        BadOfferError: If there is none.
    """
    videos = [s for s in offer.of_kind("video") if _receives(s)]
    if not videos:
        raise BadOfferError(
            f"expected an offer with a recvonly video section, got {_unusable(offer)}"
        )
    refused: BadOfferError | None = None
    for section in videos:
        try:
            chosen = choose_video_format(section, preferred)
        except BadOfferError as exc:
            refused = refused or exc
            continue
        return _accept_video(section, chosen), chosen
    assert refused is not None
    raise refused


def choose_audio(offer: Offer, transport_cc: int | None = None) -> AcceptedSection | None:
    """Choose the first section of Opus, as some players fail if it is rejected.

    Args:
        offer: The offer.
        transport_cc: Id of the extension that numbers the packets of the video, which share their
            transport and their numbers; None without.
    """
    for section in offer.of_kind("audio"):
        if (opus := _opus(section)) is not None:
            direction = "recvonly" if section.direction in RECEIVING else "inactive"
            offered = transport_cc_id(section, opus.feedback)
            numbered = offered if offered == transport_cc else None
            return _accept_audio(section, opus, direction, numbered)
    return None


def choose_voice(offer: Offer) -> AcceptedSection:
    """Choose the section to receive the voice in: the first that sends Opus.

    The answer asks for in-band error correction, and for no packets in silence (DTX).

    Raises:
        BadOfferError: If there is none.
    """
    for section in offer.of_kind("audio"):
        opus = _opus(section)
        if opus is not None and section.direction in SENDING:
            parameters = f"fmtp:{opus.payload_type} minptime=10;useinbandfec=1;usedtx=1"
            return _accept_audio(section, opus, "sendonly", None, parameters)
    got = [f"{s.direction} with {_codec_names(s)}" for s in offer.of_kind("audio")[:4]]
    raise BadOfferError(
        "expected an offer with a sendonly audio section of opus/48000/2, got "
        f"{'; '.join(got)[:160] or 'none'}"
    )


def choose_data(offer: Offer) -> AcceptedSection | None:
    """Choose the first section of data channels (RFC 8841, or the form before it)."""
    for section in offer.of_kind("application"):
        if section.is_rejected:
            continue
        size = f"max-message-size:{_number(section, 'max-message-size', _DEFAULT_MESSAGE_SIZE)}"
        if section.protocol in _SCTP and _DATA_CHANNEL in section.formats:
            port = _number(section, "sctp-port", _DEFAULT_SCTP_PORT)
            if 0 < port <= 65535:
                lines = (f"sctp-port:{port}", size)
                return AcceptedSection(section, "UDP/DTLS/SCTP", (_DATA_CHANNEL,), None, lines)
        elif section.protocol == _OLD_SCTP and _NUMBER.fullmatch(section.formats[0]):
            port = int(section.formats[0])
            if 0 < port <= 65535:
                lines = (f"sctpmap:{port} {_DATA_CHANNEL} 65535", size)
                return AcceptedSection(section, _OLD_SCTP, (str(port),), None, lines)
    return None


class Negotiation:
    """The accepted sections of an offer, and the two texts that follow from them.

    Args:
        offer: The offer.
        accepted: Sections to be answered; at least one.

    Raises:
        BadOfferError: If one lacks what a connection needs.
    """

    def __init__(self, offer: Offer, accepted: Sequence[AcceptedSection]) -> None:
        self._offer = offer
        self._accepted = sorted(accepted, key=lambda chosen: chosen.section.index)
        self._by_index = {chosen.section.index: chosen for chosen in self._accepted}
        groups = ((self._known(group), group) for group in offer.bundles)
        # The first group of which a section is accepted: aiortc looks at one group only.
        self._bundle, self._bundled = next((pair for pair in groups if pair[0]), ([], ()))
        self._check_setup()
        self.sdp = self._write()
        """The offer for aiortc."""

    @property
    def ice_users(self) -> frozenset[str]:
        """The ICE user names of the sections."""
        return frozenset(self._transport_values(a, "ice-ufrag")[0] for a in self._accepted)

    def transport_of(self, mid: str | None) -> str | None:
        """Return the mid by which aiortc finds the transport of a section.

        Args:
            mid: An offered mid; None for the first section.

        Returns:
            None if the section has no transport, because it is rejected.
        """
        bundled = mid is None or any(section.mid == mid for section in self._bundled)
        if bundled and self._bundle:
            # aiortc takes candidates of a shared transport under the mid of its first section only.
            return self._bundle[0].mid
        known = [a.mid for a in self._accepted]
        if mid is None:
            return known[0]
        return mid if mid in known else None

    def complete(self, answer: str) -> str:
        """Turn aiortc's answer to `sdp` into the answer to the offer."""
        # Split in front of each `m=`; what precedes the first one is the session's part.
        session, *media = re.split(r"(?m)^(?=m=)", answer)
        head = [line for line in session.splitlines() if not line.startswith("a=group:")]
        mids = [a.section.mid for a in self._bundle]
        if mids:
            head.append(f"a=group:BUNDLE {' '.join(mid for mid in mids if mid)}")
        answered = dict(zip(self._by_index, media, strict=True))
        lines = [
            line
            for section in self._offer.sections
            for line in (
                self._answer(self._by_index[section.index], answered[section.index])
                if section.index in answered
                else _reject(section)
            )
        ]
        return "\r\n".join([*head, *lines]) + "\r\n"

    def _known(self, group: Sequence[Section]) -> list[AcceptedSection]:
        return [self._by_index[s.index] for s in group if s.index in self._by_index]

    def _answer(self, accepted: AcceptedSection, text: str) -> list[str]:
        for ours, answered in accepted.replaced.items():
            text = text.replace(ours, answered)
        first, *lines = text.splitlines()
        kind, port, _, formats = first.split(" ", 3)
        if accepted.section.mid is None:
            lines = [line for line in lines if not line.startswith("a=mid:")]
        return [f"{kind} {port} {accepted.section.protocol} {formats}", *lines]

    def _write(self) -> str:
        lines = ["v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=-", "t=0 0"]
        if _ICE_LITE in self._offer.session:
            lines.append(f"a={_ICE_LITE}")
        if self._bundle:
            lines.append(f"a=group:BUNDLE {' '.join(a.mid for a in self._bundle)}")
        for accepted in self._accepted:
            lines += self._write_section(accepted)
        return "\r\n".join(lines) + "\r\n"

    def _write_section(self, accepted: AcceptedSection) -> list[str]:
        kind, formats = accepted.section.kind, " ".join(accepted.formats)
        attributes = [
            f"mid:{accepted.mid}",
            *(f"{n}:{v}" for n in _TRANSPORT for v in self._transport_values(accepted, n)),
        ]
        if accepted.direction is not None:
            attributes += [accepted.direction, "rtcp-mux"]
        lines = (f"a={attribute}" for attribute in (*attributes, *accepted.attributes))
        # Port 9 and 0.0.0.0 mean that the candidates tell the address (RFC 9429, section 5.2.1).
        return [f"m={kind} 9 {accepted.protocol} {formats}", "c=IN IP4 0.0.0.0", *lines]

    def _transport_values(self, accepted: AcceptedSection, name: str) -> tuple[str, ...]:
        """Return checked values of a section's transport.

        A bundled section may leave them to the tagged one (RFC 9143, section 7.1.3).
        """
        section = accepted.section
        values = section.values(name)
        if not values and section in self._bundled:
            values = self._bundled[0].values(name)
        return _TRANSPORT[name](section, values)

    def _check_setup(self) -> None:
        for accepted in self._accepted:
            own = accepted.section.own
            muxed = "rtcp-mux" in own or "rtcp-mux-only" in own
            if accepted.direction is not None and not muxed:
                raise BadOfferError(f"expected a=rtcp-mux in {accepted.section.name}, got none")


def _opus(section: Section) -> Format | None:
    """Return the format of Opus; None where the section has none to be used."""
    opus = [f for f in read_formats(section) if f.is_named("opus") and f.clock_rate == "48000"]
    if opus and opus[0].channels == "2" and not section.is_rejected and _is_rtp(section):
        return opus[0]
    return None


def _codec_names(section: Section) -> str:
    return ", ".join(dict.fromkeys(f.name for f in read_formats(section))) or "no codec"


def _accept_audio(
    section: Section, opus: Format, direction: str, transport_cc: int | None, *answered: str
) -> AcceptedSection:
    number = opus.payload_type
    rtpmap = f"rtpmap:{number} opus/48000/2"
    lines = (rtpmap, *_extensions(section, transport_cc))
    replaced = _with_lines(rtpmap, *answered, *_reports(number, transport_cc))
    return AcceptedSection(
        section, "UDP/TLS/RTP/SAVPF", (str(number),), direction, lines, replaced, transport_cc
    )


def _receives(section: Section) -> bool:
    return section.direction in RECEIVING and not section.is_rejected and _is_rtp(section)


def _is_rtp(section: Section) -> bool:
    return _RTP.fullmatch(section.protocol) is not None


def _unusable(offer: Offer) -> str:
    videos = offer.of_kind("video")
    if not videos:
        return "none"
    if videos[0].is_rejected:
        return "one with port 0"
    return videos[0].direction if _is_rtp(videos[0]) else videos[0].protocol[:40]


def _accept_video(section: Section, chosen: VideoFormat) -> AcceptedSection:
    number = chosen.format.payload_type
    rtpmap = f"rtpmap:{number} {chosen.codec.upper()}/90000"
    lines = [rtpmap]
    replaced: dict[str, str] = {}
    # VP8 is encoded by aiortc, which uses the receiver's estimate (REMB) only.
    transport_cc = None
    if chosen.codec is Codec.H264:
        ours = "profile-level-id=42e01f"
        lines.append(f"fmtp:{number} level-asymmetry-allowed=1;packetization-mode=1;{ours}")
        replaced = {ours: f"profile-level-id={chosen.profile}"}
        transport_cc = transport_cc_id(section, chosen.format.feedback)
    unused = {_REMB} if transport_cc is not None else set()
    wanted = [f for f in dict.fromkeys(chosen.format.feedback) if f in _FEEDBACK - unused]
    lines += [f"rtcp-fb:{number} {feedback}" for feedback in wanted]
    formats = [str(number)]
    if chosen.retransmission is not None:
        formats.append(str(chosen.retransmission))
        lines.append(f"rtpmap:{chosen.retransmission} rtx/90000")
        lines.append(f"fmtp:{chosen.retransmission} apt={number}")
    lines += _extensions(section, transport_cc)
    replaced |= _with_lines(rtpmap, *_reports(number, transport_cc))
    return AcceptedSection(
        *(section, "UDP/TLS/RTP/SAVPF", tuple(formats), "recvonly", tuple(lines)),
        replaced,
        transport_cc,
    )


def _extensions(section: Section, transport_cc: int | None) -> list[str]:
    """Return `extmap` attributes; without numbers that no feedback would name."""
    return [
        f"extmap:{number} {uri}"
        for number, uri in read_extensions(section).items()
        if transport_cc is not None or uri != TRANSPORT_CC_URI
    ]


def _reports(number: int, transport_cc: int | None) -> list[str]:
    return [] if transport_cc is None else [f"rtcp-fb:{number} {TRANSPORT_CC}"]


def _with_lines(attribute: str, *more: str) -> dict[str, str]:
    """Return the replacement that adds attributes, which aiortc would not answer, after another."""
    if not more:
        return {}
    return {f"a={attribute}": "\r\n".join(f"a={line}" for line in (attribute, *more))}


def _reject(section: Section) -> list[str]:
    first = f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}"
    mid = [f"a=mid:{section.mid}"] if section.mid is not None else []
    return [first, "c=IN IP4 0.0.0.0", "a=inactive", *mid]


def _number(section: Section, name: str, default: int) -> int:
    given = section.values(name)
    return int(given[0]) if given and _NUMBER.fullmatch(given[0]) else default


def _ice_user(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    return _one(section, values, "a=ice-ufrag of 4 to 256 letters, digits, + and /", _ICE_USER)


def _ice_password(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    if values and not _ICE_PASSWORD.fullmatch(values[0]):
        values = ("*" * min(len(values[0]), 8),)  # no secret in a message
    return _one(section, values, "a=ice-pwd of 22 to 256 letters, digits, + and /", _ICE_PASSWORD)


def _setup(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    return _one(
        section, values, "a=setup:actpass, active or passive", re.compile("|".join(_SETUPS))
    )


def _one(
    section: Section, values: tuple[str, ...], wanted: str, form: re.Pattern[str]
) -> tuple[str, ...]:
    if not values or not form.fullmatch(values[0]):
        got = repr(values[0][:20]) if values else "none"
        raise BadOfferError(f"expected {wanted} in {section.name}, got {got}")
    return values[:1]


def _fingerprints(section: Section, values: tuple[str, ...]) -> tuple[str, ...]:
    """Return the fingerprints of hashes that aiortc checks."""
    found = [m for m in map(_FINGERPRINT.fullmatch, values[:_MOST_FINGERPRINTS]) if m is not None]
    usable = [
        m
        for m in found
        if (hashed := X509_DIGEST_ALGORITHMS.get(m[1].lower())) is not None
        # Two digits and a colon per byte, without the last colon.
        and len(m[2]) == 3 * hashed.digest_size - 1
    ]
    if not usable:
        got = ", ".join(value.split(" ")[0] for value in values[:4])[:60] or "none"
        raise BadOfferError(
            f"expected a=fingerprint of {', '.join(X509_DIGEST_ALGORITHMS)} in {section.name}, "
            f"got {got}"
        )
    return tuple(f"{m[1].lower()} {m[2].upper()}" for m in usable)


_TRANSPORT = {
    "ice-ufrag": _ice_user,
    "ice-pwd": _ice_password,
    "fingerprint": _fingerprints,
    "setup": _setup,
}
"""Attributes of a transport, and the function that checks each."""
