"""Free the objects that aiortc allocates for a receiver that never receives."""

from __future__ import annotations

from aiortc import RTCRtpTransceiver


def drop_bandwidth_estimator(transceiver: RTCRtpTransceiver) -> None:
    """Free the bandwidth estimator of the receiver beside a send-only sender.

    It holds three quarters of all Python objects of a connection, and aiortc skips an estimator
    that is None.
    """
    transceiver.receiver._RTCRtpReceiver__remote_bitrate_estimator = None  # type: ignore[attr-defined]  # private
