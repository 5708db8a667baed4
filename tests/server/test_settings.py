"""Settings: command line, environment, and error messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.app import create_app
from server.errors import SettingsError
from server.network.addresses import Reachability
from server.settings import Settings, read_settings


def test_the_command_line_is_parsed() -> None:
    settings = read_settings(
        ["--host", "0.0.0.0", "-p", "9000", "--device", "cuda:0,cuda:1", "--avatars", "/faces"]
    )
    assert (settings.host, settings.port) == ("0.0.0.0", 9000)
    assert settings.device == "cuda:0,cuda:1"
    assert settings.avatars == Path("/faces")


def test_the_environment_is_read_and_the_command_line_takes_precedence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TELEWARP_PORT", "9001")
    monkeypatch.setenv("TELEWARP_MAX_SESSIONS", "7")
    settings = read_settings(["--port", "9002"])
    assert settings.port == 9002
    assert settings.max_sessions == 7


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "x"], "port: expected a valid integer"),
        (["--port", "70000"], "port: expected less than or equal to 65535, got '70000'"),
        (["--fps", "0"], "fps: expected greater than or equal to 1"),
        (["--allowed-origins", "a.example"], "allowed_origins: expected origins such as https://"),
        (["--log-level", "loud"], "log_level: "),
        (["--ice-servers", "turn"], "ice_servers: expected stun:HOST or turn:HOST addresses"),
        (["--udp-ports", "9-5"], "udp_ports: expected a range of ports such as 40000-40100, got"),
        (["--codecs", "h265"], "codecs: expected h264 and vp8, or one of them"),
        (["--start-bitrate-kbps", "5"], "start_bitrate_kbps: expected greater than or equal to"),
        (["--max-frame-size", "300"], "max_frame_size: expected one of 256, 320, 384, 512, 640"),
        (["--public-address", "home"], "public_address: expected an IP address, got 'home'"),
    ],
)
def test_a_wrong_value_is_reported_with_its_option(arguments: list[str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read_settings(arguments)
    assert said in str(caught.value)


def test_help_explains_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read_settings(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    for name, field in Settings.model_fields.items():
        assert f"--{name.replace('_', '-')}" in shown
        assert field.description


def test_an_unknown_option_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read_settings(["--colour", "blue"])
    assert caught.value.code == 2
    assert "--colour" in capsys.readouterr().err


def test_network_settings_are_parsed() -> None:
    settings = read_settings(
        [
            "--ice-servers",
            "stun:a,turn:b",
            "--turn-secret",
            "north",
            "--udp-ports",
            "40000-40100",
            "--public-address",
            "203.0.113.7",
        ]
    )
    assert settings.ice.urls == ("stun:a", "turn:b")
    assert settings.ice.secret == "north"
    assert settings.reach == Reachability(range(40000, 40101), "203.0.113.7")
    assert "north" not in repr(settings)


def test_a_turn_server_needs_an_account() -> None:
    with pytest.raises(SettingsError, match="needs --turn-secret"):
        create_app(read_settings(["--ice-servers", "turn:b"]))
