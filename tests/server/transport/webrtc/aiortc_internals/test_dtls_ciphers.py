"""A peer with an RSA certificate for DTLS can connect."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from aiortc import RTCCertificate, RTCConfiguration, RTCPeerConnection
from aiortc.rtcdtlstransport import generate_certificate
from cryptography.hazmat.primitives.asymmetric import rsa
from OpenSSL import SSL

from server.transport.webrtc.aiortc_internals.dtls_ciphers import accept_rsa
from server.transport.webrtc.aiortc_internals.loopback import enable_loopback_fallback
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_signature

CERTIFICATES = "_RTCPeerConnection__certificates"


def with_rsa_certificate() -> RTCPeerConnection:
    """Return a connection with an RSA certificate, which supports only cipher suites for RSA."""
    key = rsa.generate_private_key(65537, 2048)
    certificate = RTCCertificate(key=key, cert=generate_certificate(key))  # type: ignore[arg-type]  # aiortc's type is of ECDSA
    create = certificate._create_ssl_context

    def create_for_rsa(srtp_profiles: object) -> SSL.Context:
        context = create(srtp_profiles)  # type: ignore[arg-type]  # handed on
        context.set_cipher_list(b"ECDHE-RSA-AES128-GCM-SHA256")
        return context

    certificate._create_ssl_context = create_for_rsa  # type: ignore[method-assign]  # of this object only
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    setattr(connection, CERTIFICATES, [certificate])
    return connection


def test_upstream_still_creates_its_context_this_way() -> None:
    assert_signature(RTCCertificate, "_create_ssl_context", ("self", "srtp_profiles"))
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    (certificate,) = getattr(connection, CERTIFICATES)
    assert isinstance(certificate, RTCCertificate)


def nothing(connection: RTCPeerConnection) -> None:
    """Leave aiortc as it is."""


@pytest.mark.parametrize(("prepare", "state"), [(accept_rsa, "connected"), (nothing, "failed")])
async def test_an_rsa_certificate_is_accepted(
    prepare: Callable[[RTCPeerConnection], None], state: str
) -> None:
    enable_loopback_fallback()
    theirs, ours = with_rsa_certificate(), RTCPeerConnection(RTCConfiguration(iceServers=[]))
    prepare(ours)
    try:
        theirs.createDataChannel("view")
        await theirs.setLocalDescription(await theirs.createOffer())
        await ours.setRemoteDescription(theirs.localDescription)
        await ours.setLocalDescription(await ours.createAnswer())
        await theirs.setRemoteDescription(ours.localDescription)
        async with asyncio.timeout(10):
            while ours.connectionState != state:
                await asyncio.sleep(0.01)
    finally:
        await theirs.close()
        await ours.close()
