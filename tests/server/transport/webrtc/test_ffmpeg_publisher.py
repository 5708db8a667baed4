"""FFmpeg as a publisher of voice: its WHIP muxer, in PyAV, connects and its packets arrive."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.server.transport.webrtc import ffmpeg_publisher

PACKETS = 25
RECEIVED = r'telewarp_voice_packets_total{kind="received"} (\d+)'


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """Write a certificate on P-256, which RFC 8827 (6.5) requires, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "publisher")])
    now, day = datetime.now(UTC), timedelta(days=1)
    made = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - day, now + day
    ).sign(key, hashes.SHA256())
    certificate, secret = tmp_path / "cert.pem", tmp_path / "key.pem"
    certificate.write_bytes(made.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return certificate, secret


def received(http: httpx2.Client) -> int:
    """Return the number of voice packets received so far."""
    found = re.search(RECEIVED, http.get("/metrics").text)
    assert found is not None
    return int(float(found[1]))


@pytest.mark.skipif("whip" not in av.formats_available, reason="this FFmpeg has no WHIP muxer")
def test_voice_packets_of_ffmpeg_arrive(
    http: httpx2.Client, stream: str, certificate: tuple[Path, Path]
) -> None:
    before = received(http)
    address = f"{http.base_url}/v1/streams/{stream}/whip"
    program = [sys.executable, "-m", ffmpeg_publisher.__name__, address, *map(str, certificate)]
    with subprocess.Popen([*program, str(PACKETS)], stdin=subprocess.PIPE) as publisher:
        deadline = time.monotonic() + 30
        while received(http) - before < PACKETS:
            assert publisher.poll() is None, "the publisher ended early"
            assert time.monotonic() < deadline, "packets are missing"
            time.sleep(0.05)
    assert publisher.returncode == 0
