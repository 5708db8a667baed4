"""Voice from WHIP to WHEP through the server, with aiortc as both browsers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median
from struct import pack

import httpx2
import pytest

from server.errors import BadOfferError
from server.transport.webrtc.accepted_sections import choose_voice
from server.transport.webrtc.aiortc_internals.sender_reports import ntp_time
from server.transport.webrtc.offer import parse_offer
from tests.server.transport.webrtc.offers import RTP, offer, section
from tests.server.transport.webrtc.voices import Listener, Speaker, until

NTP_SECOND = 1 << 32
VOICE_RATE = 48_000
TICKS_20_MS = 960


@pytest.fixture
async def client(http: httpx2.Client) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=http.base_url, timeout=10) as client:
        yield client


@asynccontextmanager
async def a_speaker(client: httpx2.AsyncClient) -> AsyncIterator[Speaker]:
    speaker = Speaker(client)
    try:
        yield speaker
    finally:
        await speaker.leave()
        if speaker.address:
            await client.delete(speaker.address)


@asynccontextmanager
async def a_listener(client: httpx2.AsyncClient) -> AsyncIterator[Listener]:
    listener = Listener(client)
    try:
        yield listener
    finally:
        await listener.leave()


async def test_a_viewer_gets_unchanged_payloads_with_their_gaps(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_listener(client) as listener, a_speaker(client) as speaker:
        await listener.watch(stream)  # before voice is published
        await speaker.speak(stream)
        # Number 3 was lost; a silence of 400 ms comes before number 5. Both counters wrap around.
        sent = [(65534, 0), (65535, 1), (0, 2), (2, 4), (3, 24)]
        for number, tick in sent:
            speaker.say(b"%d" % number * 40, number, 2**32 - 1000 + tick * TICKS_20_MS, tick == 24)
        await until(lambda: len(listener.heard) == len(sent), "no voice")
    heard = listener.heard
    assert [p.payload for p in heard] == [b"%d" % number * 40 for number, _ in sent]
    first = heard[0]
    ticks = [(p.timestamp - first.timestamp) % 2**32 for p in heard]
    assert ticks == [tick * TICKS_20_MS for _, tick in sent]
    assert [(p.sequence_number - first.sequence_number) % 2**16 for p in heard] == [0, 1, 2, 4, 5]
    assert [p.marker for p in heard] == [1, 0, 0, 0, 1]


@pytest.mark.alone
async def test_sender_reports_of_both_tracks_share_one_timeline_and_one_cname(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_listener(client) as listener, a_speaker(client) as speaker:
        await listener.watch(stream)
        await speaker.speak(stream)
        clock = asyncio.get_running_loop().time
        began = clock()
        for number in range(100):
            # The real time, as a microphone counts it: on a busy machine the sleep takes longer.
            speaker.say(b"voice", number, round((clock() - began) * VOICE_RATE))
            speaker.mesh.send(json.dumps({"seq": number, "expression": {"jawOpen": 0.5}}))
            await asyncio.sleep(0.02)
        await until(lambda: len({r.ssrc for r in listener.reports}) == 2, "no reports")
        # The loop's clock is `time.monotonic()`, and both ends are in one process.
        for packet, rate in ((listener.heard[-1], VOICE_RATE), (listener.seen[-1], 90_000)):
            report = [r for r in listener.reports if r.ssrc == packet.ssrc][-1].sender_info
            differences_s = []
            for timestamp, at in listener.arrivals[packet.ssrc][-50:]:
                after_s = ((timestamp - report.rtp_timestamp + 2**31) % 2**32 - 2**31) / rate
                stands_for = report.ntp_timestamp / NTP_SECOND + after_s
                differences_s.append(stands_for - ntp_time(at) / NTP_SECOND)
            # The median, because a busy machine delays single packets.
            assert abs(median(differences_s)) < 0.15
    assert len(set(listener.names.values())) == 1
    assert len(listener.names) == 2


async def test_the_answer_accepts_audio_and_data_and_rejects_video(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_speaker(client) as speaker:
        speaker.connection.addTransceiver("video", direction="sendonly")
        answered = await speaker.offer(stream)
        lines = answered.text.splitlines()
        ports = {line.split(" ")[0]: line.split(" ")[1] for line in lines if line[:2] == "m="}
        assert ports["m=video"] == "0"
        assert ports["m=audio"] != "0"
        assert ports["m=application"] != "0"
        assert any("useinbandfec=1;usedtx=1" in line for line in lines)
        assert "a=recvonly" in lines


@pytest.mark.parametrize(
    ("media", "rtpmap", "direction", "said"),
    [
        (f"audio 9 {RTP} 111", "111 opus/48000/2", "recvonly", "got recvonly with opus/48000/2"),
        (f"audio 9 {RTP} 111", "111 opus/48000/1", "sendonly", "got sendonly with opus/48000/1"),
        (f"audio 9 {RTP} 0", "0 PCMU/8000", None, "got sendrecv with PCMU/8000"),
        (f"audio 0 {RTP} 111", "111 opus/48000/2", "sendonly", "got one with port 0"),
        ("audio 9 udp 111", "111 opus/48000/2", "sendonly", "got udp"),
        (f"video 9 {RTP} 111", "111 VP8/90000", "sendonly", "got none"),
    ],
)
def test_an_offer_that_cannot_carry_voice_is_refused_with_the_reason(
    media: str, rtpmap: str, direction: str | None, said: str
) -> None:
    lines = section("0", f"a=rtpmap:{rtpmap}", media=media, direction=direction)
    with pytest.raises(BadOfferError, match=f"sendonly audio section .*, {said}$"):
        choose_voice(parse_offer(offer(lines)))


async def test_mesh_frames_arrive_over_the_data_channel_and_invalid_ones_get_an_error(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_speaker(client) as speaker:
        await speaker.speak(stream)
        speaker.mesh.send(pack("<BQd7h52h", 1, 6, 12.5, 0, 0, 0, 32767, 0, 0, 0, *[500] * 52))
        speaker.mesh.send(json.dumps({"seq": 7, "expression": {"jawOpen": 0.5}}))
        speaker.mesh.send(json.dumps({"seq": 8, "expression": {"jawOpne": 0.5}}))
        speaker.mesh.send(" " * 21_000)  # above `max_line_kb` of the server
        await until(lambda: len(speaker.answers) == 2, "no errors")
        described = (await client.get(f"/v1/streams/{stream}")).json()
        counts = (await client.get(speaker.address)).json()["mesh"]
    assert (described["last_seq"], described["accepted"], described["live"]) == (7, 2, True)
    assert counts == {"accepted": 2, "dropped": 0, "last_seq": 7}
    assert "jawOpne" in speaker.answers[0]["detail"]
    assert "at most 20000 bytes, got 21000" in speaker.answers[1]["detail"]


async def test_a_newer_publication_of_a_client_replaces_the_older_one(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_listener(client) as listener, a_speaker(client) as old, a_speaker(client) as new:
        await listener.watch(stream)
        await old.speak(stream)
        old.say(b"old", 500, 12345)
        await until(lambda: len(listener.heard) == 1, "no voice")
        await new.speak(stream)
        assert (await client.get(old.address)).status_code == 404
        await until(lambda: old.connection.connectionState == "closed", "not closed")
        new.say(b"new", 40_000, 99)
        await until(lambda: len(listener.heard) == 2, "no voice of the newer one")
    before, after = listener.heard
    assert after.payload == b"new"
    assert (after.sequence_number - before.sequence_number) % 2**16 == 1
    assert 0 < (after.timestamp - before.timestamp) % 2**32 < 10 * 48_000


@pytest.mark.alone  # a slow event loop drops packets as late, before they are counted
async def test_voice_packets_above_the_limits_are_dropped_and_counted(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with a_listener(client) as listener, a_speaker(client) as speaker:
        await listener.watch(stream)
        await speaker.speak(stream)
        speaker.say(b"x" * 1276, 1, 0)
        speaker.say(b"x" * 1275, 2, 960)
        await until(lambda: len(listener.heard) == 1, "no voice")
        assert len(listener.heard[0].payload) == 1275
        counts, first = {"dropped": 0}, 3
        # The first second passes as a burst, and the kernel may drop packets as well.
        while counts["dropped"] < 51:
            for number in range(first, first + 250):
                speaker.say(b"flood", number, number * 960)
            first += 250
            await asyncio.sleep(0.05)
            counts = (await client.get(speaker.address)).json()["voice"]
        metrics = (await client.get("/metrics")).text
    assert 200 <= counts["received"] < 450
    assert "telewarp_publications 1.0" in metrics
    assert 'telewarp_voice_packets_total{kind="dropped"}' in metrics


@pytest.mark.parametrize("how", ["close", "delete", "stream"])
async def test_the_end_of_a_publication_frees_the_stream(
    client: httpx2.AsyncClient, stream: str, how: str
) -> None:
    async with a_speaker(client) as speaker:
        await speaker.speak(stream)
        if how == "close":
            await speaker.leave()
        elif how == "delete":
            assert (await client.delete(speaker.address)).status_code == 204
        else:
            await client.delete(f"/v1/streams/{stream}")
        deadline = asyncio.get_running_loop().time() + 5
        while (await client.get(speaker.address)).status_code == 200:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.02)
