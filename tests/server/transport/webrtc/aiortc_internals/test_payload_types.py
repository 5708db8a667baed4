"""Payload types that browsers choose are kept in answers."""

from __future__ import annotations

import aiortc.rtp
import pytest
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription, rtcpeerconnection

from server.transport.webrtc.aiortc_internals.payload_types import (
    DYNAMIC_PAYLOAD_TYPES,
    enable_payload_types,
)
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_attribute

NAME = "DYNAMIC_PAYLOAD_TYPES"


def test_upstream_still_reads_the_payload_types_by_this_name() -> None:
    assert_attribute(aiortc.rtp, NAME, object)
    assert NAME in rtcpeerconnection.find_common_codecs.__code__.co_names, (
        f"expected aiortc's find_common_codecs to read rtp.{NAME}, got no read"
    )


async def vp8_in_answer_to(payload_type: int) -> int:
    """Return the payload type of VP8 in the answer to an offer of VP8 by another one."""
    offerer, answerer = (RTCPeerConnection(RTCConfiguration(iceServers=[])) for _ in range(2))
    try:
        offerer.addTransceiver("video", direction="recvonly")
        await offerer.setLocalDescription(await offerer.createOffer())
        lines = offerer.localDescription.sdp.splitlines()
        (offered,) = (line.split()[0].partition(":")[2] for line in lines if "VP8/90000" in line)
        kept = []
        for line in lines:
            if line.startswith("m=video"):
                line = " ".join([*line.split()[:3], str(payload_type)])
            elif line.startswith(("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:")):
                name, _, rest = line.partition(":")
                number, _, rest = rest.partition(" ")
                if number != offered:
                    continue
                line = f"{name}:{payload_type} {rest}"
            kept.append(line)
        offer = RTCSessionDescription("\r\n".join(kept) + "\r\n", "offer")
        await answerer.setRemoteDescription(offer)
        answer = (await answerer.createAnswer()).sdp
        (found,) = (line for line in answer.splitlines() if "VP8/90000" in line)
        return int(found.split()[0].partition(":")[2])
    finally:
        await offerer.close()
        await answerer.close()


@pytest.mark.parametrize("payload_type", [35, 63, 96, 127])
async def test_dynamic_payload_types_are_answered_as_they_are_offered(payload_type: int) -> None:
    enable_payload_types()
    enable_payload_types()  # the second time changes nothing
    assert await vp8_in_answer_to(payload_type) == payload_type


async def test_static_payload_types_are_not_used_for_vp8() -> None:
    enable_payload_types()
    assert await vp8_in_answer_to(34) in range(96, 128)  # 34 is H.263 (RFC 3551, section 6)


def test_no_payload_type_is_one_that_aiortc_refuses() -> None:
    assert_attribute(aiortc.rtp, "FORBIDDEN_PAYLOAD_TYPES", range)
    assert not DYNAMIC_PAYLOAD_TYPES & set(aiortc.rtp.FORBIDDEN_PAYLOAD_TYPES)
