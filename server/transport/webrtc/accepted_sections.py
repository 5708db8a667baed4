"""Choose the sections of an offer that are accepted, and write them for aiortc.

Each is offered to aiortc with one format, and with the attributes that it understands.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from server.encoding.codecs import Codec
from server.errors import BadOfferError
from server.transport.webrtc.aiortc_internals.transport_feedback import TRANSPORT_CC_URI
from server.transport.webrtc.header_extensions import (
    TRANSPORT_CC,
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

_REMB = "goog-remb"
_FEEDBACK = frozenset({"nack", "nack pli", "ccm fir", _REMB})
_SCTP = ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP")
_OLD_SCTP = "DTLS/SCTP"
_DATA_CHANNEL = "webrtc-datachannel"
_OPUS_CHANNELS = ("2", None)
"""RFC 7587 requires `opus/48000/2` of mono, too; pipelines of GStreamer with caps written by hand
offer `OPUS/48000`."""
_DEFAULT_SCTP_PORT = 5000
_DEFAULT_MESSAGE_SIZE = 65536  # RFC 8841, section 6
_NUMBER = re.compile(r"\d{1,10}")


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
    """Attributes of its formats, without `a=`."""
    replaced: Mapping[str, str] = field(default_factory=dict)
    """Replacements in aiortc's answer."""
    transport_cc: int | None = None
    """Id of the header extension for transport-wide numbers; None without it."""

    @property
    def mid(self) -> str:
        """Its mid for aiortc, also if the offer has none."""
        return self.section.key


def choose_video(offer: Offer, preferred: Sequence[Codec]) -> tuple[AcceptedSection, VideoFormat]:
    """Choose the video section to answer: the first that receives a supported codec.

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
    """Choose the audio section to answer: the first that sends Opus.

    The answer asks for in-band error correction, and for no packets in silence (DTX).

    Raises:
        BadOfferError: If there is none.
    """
    for section in offer.of_kind("audio"):
        opus = _opus(section)
        if opus is not None and section.direction in SENDING:
            parameters = f"fmtp:{opus.payload_type} minptime=10;useinbandfec=1;usedtx=1"
            return _accept_audio(section, opus, "sendonly", None, parameters)
    got = [_describe_unusable(section) for section in offer.of_kind("audio")[:4]]
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
        protocol = section.protocol.upper()
        if protocol in _SCTP and _DATA_CHANNEL in [name.lower() for name in section.formats]:
            port = _number(section, "sctp-port", _DEFAULT_SCTP_PORT)
            if 0 < port <= 65535:
                lines = (f"sctp-port:{port}", size)
                return AcceptedSection(section, "UDP/DTLS/SCTP", (_DATA_CHANNEL,), None, lines)
        elif protocol == _OLD_SCTP and _NUMBER.fullmatch(section.formats[0]):
            port = int(section.formats[0])
            if 0 < port <= 65535:
                lines = (f"sctpmap:{port} {_DATA_CHANNEL} 65535", size)
                return AcceptedSection(section, _OLD_SCTP, (str(port),), None, lines)
    return None


def _opus(section: Section) -> Format | None:
    """Return the format of Opus; None if the section has no usable one."""
    opus = [f for f in read_formats(section) if f.is_named("opus") and f.clock_rate == "48000"]
    if opus and opus[0].channels in _OPUS_CHANNELS and not section.is_rejected and section.is_rtp:
        return opus[0]
    return None


def _describe_unusable(section: Section) -> str:
    """Describe an audio section by the properties for which it may be refused."""
    if section.is_rejected or not section.is_rtp:
        return "one with port 0" if section.is_rejected else section.protocol[:40]
    named = (value.partition(" ")[2][:30] for value in section.own.get("rtpmap", ()))
    return f"{section.direction} with {', '.join(dict.fromkeys(named)) or 'no codec'}"


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
    return section.direction in RECEIVING and not section.is_rejected and section.is_rtp


def _unusable(offer: Offer) -> str:
    videos = offer.of_kind("video")
    if not videos:
        return "none"
    if videos[0].is_rejected:
        return "one with port 0"
    return videos[0].direction if videos[0].is_rtp else videos[0].protocol[:40]


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
    """Return `extmap` attributes, without transport-wide numbers unless there is feedback."""
    return [
        f"extmap:{number} {uri}"
        for number, uri in read_extensions(section).items()
        if transport_cc is not None or uri != TRANSPORT_CC_URI
    ]


def _reports(number: int, transport_cc: int | None) -> list[str]:
    return [] if transport_cc is None else [f"rtcp-fb:{number} {TRANSPORT_CC}"]


def _with_lines(attribute: str, *more: str) -> dict[str, str]:
    """Return the replacement that adds attributes unknown to aiortc after another one."""
    if not more:
        return {}
    return {f"a={attribute}": "\r\n".join(f"a={line}" for line in (attribute, *more))}


def _number(section: Section, name: str, default: int) -> int:
    given = section.values(name)
    return int(given[0]) if given and _NUMBER.fullmatch(given[0]) else default
