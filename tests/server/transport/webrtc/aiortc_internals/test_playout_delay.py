"""The playout-delay extension is negotiated once and sent on every packet."""

from __future__ import annotations

import inspect

import aiortc.codecs
import aiortc.rtcrtpsender
import aiortc.rtp
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpSendParameters

from server.transport.webrtc.aiortc_internals.playout_delay import (
    NO_DELAY,
    PLAYOUT_DELAY_URI,
    enable_playout_delay,
)
from tests.server.transport.webrtc.aiortc_internals.upstream import (
    assert_attribute,
    assert_signature,
)

MID_URI = "urn:ietf:params:rtp-hdrext:sdes:mid"


def test_upstream_still_builds_header_extensions_this_way() -> None:
    assert_attribute(aiortc.codecs, "HEADER_EXTENSIONS", dict)
    extensions_map = aiortc.rtp.HeaderExtensionsMap
    assert_signature(extensions_map, "configure", ("self", "parameters"))
    assert_signature(extensions_map, "set", ("self", "values"))
    assert_signature(
        aiortc.rtp, "unpack_header_extensions", ("extension_profile", "extension_value")
    )
    assert_signature(aiortc.rtp, "pack_header_extensions", ("extensions",))
    source = inspect.getsource(aiortc.rtcrtpsender.RTCRtpSender.__init__)
    assert "rtp.HeaderExtensionsMap()" in source, (
        "expected RTCRtpSender.__init__ to call aiortc.rtp.HeaderExtensionsMap, got no call"
    )


def test_the_extension_is_offered_once_with_an_id_of_its_own() -> None:
    enable_playout_delay()
    enable_playout_delay()
    video = aiortc.codecs.HEADER_EXTENSIONS["video"]
    assert [extension.uri for extension in video].count(PLAYOUT_DELAY_URI) == 1
    ids = [extension.id for extension in video]
    assert len(set(ids)) == len(ids)


def test_a_packet_has_the_extension_beside_the_others() -> None:
    enable_playout_delay()
    extensions = aiortc.rtp.HeaderExtensionsMap()
    negotiated = [
        RTCRtpHeaderExtensionParameters(id=1, uri=MID_URI),
        RTCRtpHeaderExtensionParameters(id=12, uri=PLAYOUT_DELAY_URI),
    ]
    extensions.configure(RTCRtpSendParameters(headerExtensions=negotiated))
    profile, packed = extensions.set(aiortc.rtp.HeaderExtensions(mid="0"))
    assert aiortc.rtp.unpack_header_extensions(profile, packed) == [(1, b"0"), (12, NO_DELAY)]


def test_a_packet_lacks_the_extension_if_it_was_not_negotiated() -> None:
    enable_playout_delay()
    extensions = aiortc.rtp.HeaderExtensionsMap()
    extensions.configure(
        RTCRtpSendParameters(headerExtensions=[RTCRtpHeaderExtensionParameters(id=1, uri=MID_URI)])
    )
    profile, packed = extensions.set(aiortc.rtp.HeaderExtensions(mid="0"))
    assert aiortc.rtp.unpack_header_extensions(profile, packed) == [(1, b"0")]
