"""UDP drivers of a real server with real packets."""

from __future__ import annotations

import logging
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import numpy as np
import pytest

from models.contract.avatar_info import AvatarInfo
from server.app import create_app
from server.drivers.drivers import Drivers
from server.errors import SettingsError
from server.pool.fake import fake_avatar
from server.settings import Settings, read_settings
from server.streams.streams import Streams
from tests.server.conftest import Served, serving
from tests.server.drivers.packets import APPLY, blend, bone, bundle, live_link, metahuman

TIMEOUT_S = 5.0
EXAMPLE = Path(__file__).parents[3] / "scripts" / "examples" / "send_live_link.py"


@pytest.fixture(scope="module")
def driven() -> Iterator[Served]:
    settings = Settings(port=0, workers=1, max_sessions=3, demo=False, live_link_port=0, vmc_port=0)
    with serving(settings) as running:
        yield running


@pytest.fixture
def client(driven: Served) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=driven.url, timeout=10) as client:
        yield client


@pytest.fixture
def send(driven: Served) -> Iterator[Callable[[bytes], None]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect(("127.0.0.1", driven.app.state.drivers.listeners["live_link"].port))
        yield lambda packet: (sender.send(packet), None)[1]


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < deadline, "expected condition not met in time"
        time.sleep(0.01)


def counted(client: httpx2.Client, result: str) -> float:
    found = re.search(
        rf'telewarp_driver_packets_total{{driver="live_link",result="{result}"}} (\S+)',
        client.get("/metrics").text,
    )
    assert found
    return float(found[1])


def test_a_packet_moves_the_face_of_its_subject(
    driven: Served, client: httpx2.Client, send: Callable[[bytes], None]
) -> None:
    send(live_link({"JawOpen": 0.5, "HeadYaw": 0.3}, "Maria K."))
    until(lambda: client.get("/v1/streams/Maria-K").status_code == 200)
    stream = client.get("/v1/streams/Maria-K").json()
    assert (stream["avatar"], stream["live"], stream["accepted"]) == ("default", True, 1)
    newest = driven.app.state.streams.get("Maria-K").newest
    names = driven.app.state.streams.get("Maria-K").avatar.expression_names
    assert newest.expression[names.index("jawOpen")] == 0.5
    assert newest.head_rotation[1] < 0  # to the face's right
    assert (
        newest.head_translation[0] < 0
    )  # rotation about the neck, so the head moves to the right as well


def test_of_queued_packets_the_newest_is_used(
    driven: Served, client: httpx2.Client, send: Callable[[bytes], None]
) -> None:
    late = counted(client, "late")
    for frame in range(40):
        send(live_link({"JawOpen": frame / 100}, "burst", frame=1000 + frame))
    until(lambda: counted(client, "late") + counted(client, "accepted") >= late + 40)
    newest = driven.app.state.streams.get("burst").newest
    jaw = driven.app.state.streams.get("burst").avatar.expression_names.index("jawOpen")
    assert newest.expression[jaw] == pytest.approx(0.39)


def test_bad_packets_are_counted_and_logged_once(
    client: httpx2.Client, send: Callable[[bytes], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "server.drivers")
    malformed, no_face = counted(client, "malformed"), counted(client, "no_face")
    for _ in range(20):
        send(metahuman())
        send(b"\x06" * 40)
    send(b"\x06" * 9000)
    send(live_link(None, "nobody"))
    until(lambda: counted(client, "malformed") == malformed + 41)
    until(lambda: counted(client, "no_face") == no_face + 1)
    assert client.get("/v1/streams/nobody").status_code == 404
    said = [record.getMessage() for record in caplog.records if "malformed" in record.getMessage()]
    assert len(said) == 1
    assert "choose the ARKit mode in the app" in said[0]


def test_packets_above_the_rate_are_not_read(
    client: httpx2.Client, send: Callable[[bytes], None]
) -> None:
    limited = counted(client, "limited")

    def flooded() -> bool:
        for _ in range(500):
            send(b"\x06")
        return counted(client, "limited") > limited

    until(flooded)
    assert client.get("/healthz").status_code == 200


def test_the_example_replays_a_recording_of_the_app(driven: Served, tmp_path: Path) -> None:
    recording = tmp_path / "take.csv"
    recording.write_text(
        "Timecode,BlendShapeCount,JawRight,JawLeft,JawOpen,HeadYaw\n"
        + "".join(f"10:00:00:{row:02}.000,61,0.0,0.75,{row / 10},-0.2\n" for row in range(6))
    )
    port = driven.app.state.drivers.listeners["live_link"].port
    said = subprocess.run(
        [sys.executable, EXAMPLE, "--port", str(port), "--recording", recording, "--fps", "60"],
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
    ).stdout
    assert said.endswith("sent 6 packets\n")
    until(lambda: any(stream.id == "me" for stream in driven.app.state.streams.list()))
    stream = driven.app.state.streams.get("me")
    names = stream.avatar.expression_names
    until(lambda: stream.newest.expression[names.index("jawOpen")] == np.float32(0.5))
    assert stream.newest.expression[names.index("jawLeft")] == 0.75
    assert stream.newest.expression[names.index("jawRight")] == 0
    assert stream.newest.head_rotation[1] == pytest.approx(np.sin(0.1))


def test_a_vmc_bundle_moves_the_face(driven: Served, client: httpx2.Client) -> None:
    port = driven.app.state.drivers.listeners["vmc"].port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for part in (blend("Joy", 0.5), bone("Head", 0, np.sin(0.2), 0, np.cos(0.2)), APPLY):
            sender.sendto(part, ("127.0.0.1", port))
        sender.sendto(bundle(blend("A", 1.0), APPLY), ("127.0.0.1", port))
        sender.sendto(bundle(b"/broken"), ("127.0.0.1", port))
    until(lambda: client.get("/v1/streams/vmc").status_code == 200)
    stream = driven.app.state.streams.get("vmc")
    names = stream.avatar.expression_names
    until(lambda: stream.newest.expression[names.index("jawOpen")] == np.float32(0.6))
    assert stream.newest.expression[names.index("mouthSmileLeft")] == np.float32(0.4)
    assert stream.newest.head_rotation[1] == pytest.approx(-np.sin(0.2))
    found = 'telewarp_driver_packets_total{driver="vmc",result="malformed"} 1.0'
    until(lambda: found in client.get("/metrics").text)


def test_no_port_is_open_without_the_option(served: Served) -> None:
    assert served.app.state.drivers.listeners == {}


async def test_a_port_in_use_is_reported_at_the_start() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        streams = Streams({"default": fake_avatar()})
        with pytest.raises(SettingsError, match=f"--live-link-port: .*127.0.0.1:{port}"):
            Drivers(Settings(live_link_port=port), streams)


@pytest.mark.parametrize(
    ("avatars", "said"),
    [
        ({}, "no avatar 'default'; there are: none"),
        (
            {"default": replace(fake_avatar(), expression_names=("expr0",))},
            "expected an avatar with coefficients of ARKit",
        ),
    ],
)
async def test_an_avatar_that_cannot_be_driven_is_reported_at_the_start(
    avatars: dict[str, AvatarInfo], said: str
) -> None:
    with pytest.raises(SettingsError, match=said):
        Drivers(Settings(live_link_port=0), Streams(avatars))


def test_tokens_and_drivers_need_an_explicit_option(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.toml"
    tokens.write_text(f'signing_keys = ["{"k" * 43}"]\n')
    arguments = ["--tokens", str(tokens), "--live-link-port", "0"]
    with pytest.raises(SettingsError, match="expected --allow-unauthenticated-drivers beside"):
        create_app(read_settings(arguments))
    create_app(read_settings([*arguments, "--allow-unauthenticated-drivers"]))


def test_a_public_address_of_the_drivers_causes_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    create_app(read_settings(["--live-link-port", "11111", "--drivers-host", "0.0.0.0"]))
    assert "anyone who reaches UDP port 11111 of 0.0.0.0 can drive a face" in caplog.text


def test_the_address_of_the_drivers_is_validated() -> None:
    with pytest.raises(SettingsError, match="drivers_host: expected an IP address"):
        read_settings(["--drivers-host", "somewhere"])
