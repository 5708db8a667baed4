"""Offers built line by line."""

from __future__ import annotations

from collections.abc import Sequence

FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
H264 = ("a=rtpmap:102 H264/90000", "a=fmtp:102 packetization-mode=1;profile-level-id=42e01f")
RTP = "UDP/TLS/RTP/SAVPF"
TRANSPORT = (
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuvwx",
    FINGERPRINT,
    "a=setup:actpass",
)


def section(
    mid: str | None,
    *lines: str,
    media: str = f"video 9 {RTP} 102",
    transport: Sequence[str] = TRANSPORT,
    direction: str | None = "recvonly",
) -> list[str]:
    """Return the lines of a media section; video by default."""
    named = [f"a=mid:{mid}"] if mid is not None else []
    directed = [f"a={direction}"] if direction is not None else []
    return [f"m={media}", "c=IN IP4 0.0.0.0", *transport, "a=rtcp-mux", *named, *directed, *lines]


def data(
    mid: str | None, media: str = "application 9 UDP/DTLS/SCTP webrtc-datachannel"
) -> list[str]:
    """Return the lines of a data channel section."""
    return section(mid, "a=sctp-port:5000", media=media, direction=None)


def offer(*sections: list[str], session: Sequence[str] = ("a=group:BUNDLE 0 1 2 3",)) -> str:
    """Return an offer with these sections."""
    head = ["v=0", "o=- 1 2 IN IP4 127.0.0.1", "s=-", "t=0 0", *session]
    return "\r\n".join([*head, *(line for lines in sections for line in lines), ""])
