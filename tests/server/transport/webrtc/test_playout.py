"""The playout-delay extension: negotiated once, sent on every packet."""

from __future__ import annotations

import aiortc.codecs
import aiortc.rtp
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters

from server.transport.webrtc.playout import NO_DELAY, PLAYOUT_DELAY_URI, teach_aiortc_playout_delay

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"


def test_it_is_offered_once_with_an_id_of_its_own() -> None:
    teach_aiortc_playout_delay()
    teach_aiortc_playout_delay()
    video = aiortc.codecs.HEADER_EXTENSIONS["video"]
    assert [extension.uri for extension in video].count(PLAYOUT_DELAY_URI) == 1
    ids = [extension.id for extension in video]
    assert len(set(ids)) == len(ids)


def test_a_packet_carries_it_beside_the_others() -> None:
    teach_aiortc_playout_delay()
    extensions = aiortc.rtp.HeaderExtensionsMap()
    wanted = [
        RTCRtpHeaderExtensionParameters(id=1, uri=MID_URI),
        RTCRtpHeaderExtensionParameters(id=12, uri=PLAYOUT_DELAY_URI),
    ]
    extensions.configure(RTCRtpSendParameters(headerExtensions=wanted))
    profile, packed = extensions.set(aiortc.rtp.HeaderExtensions(mid="0"))
    assert aiortc.rtp.unpack_header_extensions(profile, packed) == [(1, b"0"), (12, NO_DELAY)]


def test_a_packet_for_who_does_not_know_it_goes_without() -> None:
    teach_aiortc_playout_delay()
    extensions = aiortc.rtp.HeaderExtensionsMap()
    extensions.configure(
        RTCRtpSendParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(id=1, uri=MID_URI)])
    )
    profile, packed = extensions.set(aiortc.rtp.HeaderExtensions(mid="0"))
    assert aiortc.rtp.unpack_header_extensions(profile, packed) == [(1, b"0")]
