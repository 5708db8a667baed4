"""Transport feedback of a viewer controls the bitrate; malformed reports are ignored."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
from aiortc.rtp import RTCP_PSFB_PLI, RtcpPsfbPacket, RtpPacket

from server.transport.webrtc.aiortc_internals.transport_feedback import enable_transport_numbers
from tests.server.transport.webrtc.congestion.reports import report_of, rtcp
from tests.server.transport.webrtc.test_peer import Viewer, client

__all__ = ["client"]
_REPORT_S = 0.06


class ReportingViewer(Viewer):
    """A viewer that reports on all packets, as a browser does.

    Args:
        http: Client of the server.
        delay_s: Delay that is added to a packet, seconds, by the number of packets before it.
        codec: The only codec that it accepts; None for any.
    """

    def __init__(
        self, http: httpx2.AsyncClient, delay_s: Callable[[int], float], codec: str | None = None
    ) -> None:
        enable_transport_numbers()
        super().__init__(http, codec)
        self._delay_s = delay_s
        self._seen = 0
        """Number of packets reported on."""
        self._reporting: asyncio.Task[None] | None = None

    async def join(self, stream: str) -> httpx2.Response:
        create_offer = self.connection.createOffer

        async def with_reports() -> Any:
            offer = await create_offer()
            offer.sdp = _with_reports(offer.sdp)
            return offer

        self.connection.createOffer = with_reports  # type: ignore[method-assign]
        response = await super().join(stream)
        self._reporting = asyncio.create_task(self._report())
        return response

    async def leave(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
        await super().leave()

    async def send_rtcp(self, data: bytes) -> None:
        await self.receiver.transport._send_rtp(data)

    def numbers(self) -> list[int]:
        return [packet.extensions.transport_sequence_number or 0 for packet in self.packets]

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(_REPORT_S)
            await self.report()

    async def report(self) -> None:
        """Report on the packets since the last report, if there are any."""
        now, seen = asyncio.get_running_loop().time(), self._seen
        fresh: list[RtpPacket] = self.packets[seen:]
        numbers = [packet.extensions.transport_sequence_number for packet in fresh]
        if not numbers or numbers[0] is None:
            return
        arrivals: list[float | None] = [now + self._delay_s(seen + i) for i in range(len(fresh))]
        self._seen += len(fresh)
        await self.send_rtcp(rtcp(report_of(numbers[0], arrivals)))


def _with_reports(sdp: str) -> str:
    lines = []
    for line in sdp.splitlines():
        lines.append(line)
        if line.startswith("a=rtpmap:") and "H264" in line:
            number = line.removeprefix("a=rtpmap:").partition(" ")[0]
            lines.append(f"a=rtcp-fb:{number} transport-cc")
    return "\r\n".join(lines) + "\r\n"


@asynccontextmanager
async def reporting(
    client: httpx2.AsyncClient, stream: str, delay_s: Callable[[int], float]
) -> AsyncIterator[ReportingViewer]:
    viewer = ReportingViewer(client, delay_s)
    try:
        await viewer.watch(stream)
        yield viewer
    finally:
        await viewer.leave()


async def look_around(viewer: Viewer, seconds: float) -> None:
    for seq in range(1, round(seconds * 50)):
        viewer.send_view(seq, eye_x=seq % 40 / 50)
        await asyncio.sleep(0.02)


async def target_kbps(client: httpx2.AsyncClient, viewer: Viewer) -> int:
    target: int = (await client.get(viewer.address)).json()["target_kbps"]
    return target


async def test_packets_are_numbered_without_gaps(client: httpx2.AsyncClient, stream: str) -> None:
    async with reporting(client, stream, lambda _: 0.0) as viewer:
        await look_around(viewer, 0.5)
        numbers = viewer.numbers()
    assert "transport-cc" in viewer.answer
    assert len(numbers) > 10
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))


async def test_growing_delays_lower_the_target_bitrate(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with reporting(client, stream, lambda count: count * 0.02) as viewer:
        before = await target_kbps(client, viewer)
        await look_around(viewer, 1.5)
        after = await target_kbps(client, viewer)
    assert before > 300
    assert after < 0.7 * before


async def test_constant_delays_do_not_lower_the_target_bitrate(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with reporting(client, stream, lambda _: 0.05) as viewer:
        before = await target_kbps(client, viewer)
        await look_around(viewer, 1.0)
        assert await target_kbps(client, viewer) > 0.8 * before


async def test_malformed_reports_are_ignored(client: httpx2.AsyncClient, stream: str) -> None:
    dice = random.Random(4)
    async with reporting(client, stream, lambda _: 0.0) as viewer:
        before = await target_kbps(client, viewer)
        for _ in range(300):
            await viewer.send_rtcp(rtcp(dice.randbytes(dice.randrange(1, 60))))
        await look_around(viewer, 0.3)
        assert (await client.get(viewer.address)).json()["state"] == "running"
        assert await target_kbps(client, viewer) > 0.8 * before


async def test_rtcp_packets_beside_a_report_are_handled(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with reporting(client, stream, lambda _: 0.0) as viewer:
        await look_around(viewer, 0.3)
        before = len(viewer.key_frames)
        pli = RtcpPsfbPacket(RTCP_PSFB_PLI, ssrc=1, media_ssrc=viewer.packets[-1].ssrc)
        await viewer.send_rtcp(rtcp(report_of(0, [1.0])) + bytes(pli))
        await viewer.until(lambda: len(viewer.key_frames) > before)


async def test_reported_figures_are_in_statistics_metrics_and_events(
    client: httpx2.AsyncClient, stream: str
) -> None:
    async with reporting(client, stream, lambda _: 0.0) as viewer:
        await look_around(viewer, 0.5)
        await viewer.until(lambda: bool(viewer.of_type("network")))
        network = (await client.get(viewer.address)).json()["network"]
        metrics = (await client.get("/metrics")).text
        event = viewer.of_type("network")[-1]
    assert network.keys() == {"estimate_kbps", "loss", "queue_ms", "round_trip_ms"}
    assert event.keys() == {"type", *network}
    assert network["estimate_kbps"] > 300
    assert 0 <= network["queue_ms"] < 100
    lines = (line.rpartition(" ") for line in metrics.splitlines() if line.startswith("telewarp"))
    found = {name: float(value) for name, _, value in lines}
    assert found["telewarp_network_estimate_bytes_per_second"] > 30_000
    assert found['telewarp_network_packets_total{kind="arrived"}'] > 10
    assert found["telewarp_queueing_delay_seconds_count"] > 1
