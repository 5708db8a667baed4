"""The receiver of a send-only transceiver holds no bandwidth estimator."""

from __future__ import annotations

from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver
from aiortc.rate import RemoteBitrateEstimator

from server.transport.webrtc.aiortc_internals.unused_receiver import drop_bandwidth_estimator
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_attribute

ESTIMATOR = "_RTCRtpReceiver__remote_bitrate_estimator"


async def test_the_estimator_is_dropped() -> None:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver("video", direction="sendonly")
    assert_attribute(transceiver.receiver, ESTIMATOR, RemoteBitrateEstimator)
    drop_bandwidth_estimator(transceiver)
    assert getattr(transceiver.receiver, ESTIMATOR) is None
    await connection.close()


def test_upstream_still_checks_for_an_estimator() -> None:
    names = RTCRtpReceiver._handle_rtp_packet.__code__.co_names
    assert ESTIMATOR in names, (
        f"expected RTCRtpReceiver._handle_rtp_packet to read {ESTIMATOR}, got no read"
    )
