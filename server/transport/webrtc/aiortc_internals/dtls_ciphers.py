"""Accept DTLS certificates with RSA keys, which GStreamer creates.

Browsers create ECDSA certificates, and aiortc offers cipher suites for these only. The server's
certificate stays ECDSA; that of the peer is checked by its fingerprint in the SDP, whatever its
type.
"""

from __future__ import annotations

from collections.abc import Callable

from aiortc import RTCPeerConnection
from OpenSSL import SSL

CIPHERS = (
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305"
    ":ECDHE-RSA-AES128-GCM-SHA256:ECDHE-RSA-CHACHA20-POLY1305"
    ":ECDHE-ECDSA-AES128-SHA:ECDHE-ECDSA-AES256-SHA"
)
"""Cipher suites of aiortc, and the first two of them for RSA."""

_CERTIFICATES = "_RTCPeerConnection__certificates"


def accept_rsa(connection: RTCPeerConnection) -> None:
    """Offer cipher suites for RSA certificates too.

    Must be called before the remote offer is set.
    """
    for certificate in getattr(connection, _CERTIFICATES):
        certificate._create_ssl_context = _with_rsa(certificate._create_ssl_context)


def _with_rsa(create: Callable[..., SSL.Context]) -> Callable[..., SSL.Context]:
    def create_with_rsa(srtp_profiles: object) -> SSL.Context:
        context = create(srtp_profiles=srtp_profiles)
        context.set_cipher_list(CIPHERS.encode())
        return context

    return create_with_rsa
