"""Header extensions that aiortc does not know are negotiated beside its own."""

from __future__ import annotations

from typing import Literal

import aiortc.codecs
import aiortc.rtp
import pytest
from aiortc import RTCConfiguration, RTCDtlsTransport, RTCPeerConnection, RTCRtpSender
from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters

from server.transport.webrtc.aiortc_internals.header_extensions import add_header_extension
from tests.server.transport.webrtc.aiortc_internals.upstream import assert_attribute

URI = "urn:example:extension"


@pytest.fixture(autouse=True)
def _only_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore what the other tests of this process use."""
    for kind, known in list(aiortc.codecs.HEADER_EXTENSIONS.items()):
        monkeypatch.setitem(aiortc.codecs.HEADER_EXTENSIONS, kind, list(known))
    monkeypatch.setattr(aiortc.rtp, "HeaderExtensionsMap", aiortc.rtp.HeaderExtensionsMap)


def ids_of(uri: str) -> list[int]:
    groups = aiortc.codecs.HEADER_EXTENSIONS.values()
    return [extension.id for group in groups for extension in group if extension.uri == uri]


def test_upstream_still_lists_the_extensions_and_looks_up_their_map_by_name() -> None:
    for kind in ("audio", "video"):
        for extension in aiortc.codecs.HEADER_EXTENSIONS[kind]:
            assert isinstance(extension, RTCRtpHeaderExtensionParameters)
            assert_attribute(extension, "id", int)
            assert_attribute(extension, "uri", str)
    for owner in (RTCRtpSender, RTCDtlsTransport):
        assert "HeaderExtensionsMap" in owner.__init__.__code__.co_names, (
            f"expected {owner.__name__} to create rtp.HeaderExtensionsMap, got no use of the name"
        )


@pytest.mark.parametrize("kind", ["audio", "video"])
async def test_an_added_extension_is_offered(kind: Literal["audio", "video"]) -> None:
    add_header_extension(kind, URI)
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    connection.addTransceiver("audio")
    connection.addTransceiver("video")
    offer = (await connection.createOffer()).sdp
    await connection.close()
    sections = dict(zip(("audio", "video"), offer.split("m=")[1:], strict=True))
    (number,) = ids_of(URI)
    offered = f"a=extmap:{number} {URI}"
    assert {name: offered in section for name, section in sections.items()} == {
        "audio": kind == "audio",
        "video": kind == "video",
    }


def test_an_extension_has_one_id_in_both_media_that_no_other_has() -> None:
    add_header_extension("video", URI)
    add_header_extension("audio", URI)
    add_header_extension("audio", URI + "2")
    first, second = ids_of(URI)
    (other,) = ids_of(URI + "2")
    assert first == second != other
    for kind in ("audio", "video"):
        ids = [extension.id for extension in aiortc.codecs.HEADER_EXTENSIONS[kind]]
        assert len(set(ids)) == len(ids)
        assert set(ids) <= set(range(1, 15))


async def test_new_connections_use_the_added_map_and_a_second_addition_changes_nothing() -> None:
    class Map(aiortc.rtp.HeaderExtensionsMap):
        """Stands for a map that knows the extension."""

    add_header_extension("video", URI, Map)
    add_header_extension("video", URI, aiortc.rtp.HeaderExtensionsMap)
    assert len(ids_of(URI)) == 1
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    sender = connection.addTransceiver("video").sender
    assert_attribute(sender, "_RTCRtpSender__rtp_header_extensions_map", Map)
    assert_attribute(sender.transport, "_rtp_header_extensions_map", Map)
    await connection.close()
