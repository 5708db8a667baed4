"""Settings: command line, environment, and error messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from server.access_settings import AccessSettings, log_former_names, read_settings_of
from server.app import create_app
from server.cluster.__main__ import ListSettings
from server.cluster.settings import RouterSettings
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
    assert settings.reachability == Reachability(range(40000, 40101), "203.0.113.7")
    assert "north" not in repr(settings)


def test_a_turn_server_needs_an_account() -> None:
    with pytest.raises(SettingsError, match="needs --turn-secret"):
        create_app(read_settings(["--ice-servers", "turn:b"]))


FORMER = [
    (Settings, "max_waiting", "max_queue_length", "7", 7),
    (Settings, "grace_s", "drain_timeout_s", "2.5", 2.5),
    (Settings, "mark", "watermark", "all", "all"),
    (RouterSettings, "reached", "connect_sources", "https://a.example", "https://a.example"),
]
"""Class, former and present name, a value that is not the default, and the same value parsed."""


def read(kind: type[AccessSettings], arguments: list[str]) -> dict[str, object]:
    return read_settings_of(kind, arguments).model_dump()


def test_every_former_name_is_tested_and_names_a_setting() -> None:
    tested = {(kind, former, name) for kind, former, name, *_ in FORMER}
    tested.add((Settings, "drivers_without_tokens", "allow_unauthenticated_drivers"))
    for kind in (Settings, RouterSettings, ListSettings):
        assert set(kind.renamed.values()) <= set(kind.model_fields)
        assert not set(kind.renamed) & set(kind.model_fields)
    known = {
        (kind, *names) for kind in (Settings, RouterSettings) for names in kind.renamed.items()
    }
    assert tested == known


@pytest.mark.parametrize(("kind", "former", "name", "text", "value"), FORMER)
def test_an_option_is_accepted_by_its_former_name(
    kind: type[AccessSettings], former: str, name: str, text: str, value: object
) -> None:
    option = f"--{former.replace('_', '-')}"
    assert read(kind, [])[name] != value
    assert read(kind, [option, text])[name] == value
    assert read(kind, [f"{option}={text}"])[name] == value


@pytest.mark.parametrize(("kind", "former", "name", "text", "value"), FORMER)
def test_a_variable_is_accepted_by_its_former_name_unless_the_present_one_is_set(
    kind: type[AccessSettings],
    former: str,
    name: str,
    text: str,
    value: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    default = str(kind.model_fields[name].default)
    monkeypatch.setenv(f"telewarp_{former}", text)  # in small letters, as for present names
    assert read(kind, [])[name] == value
    assert str(read(kind, [f"--{name.replace('_', '-')}", default])[name]) == default
    monkeypatch.setenv(f"TELEWARP_{name.upper()}", default)
    assert str(read(kind, [])[name]) == default


def test_a_switch_is_accepted_by_its_former_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not read_settings([]).allow_unauthenticated_drivers
    assert read_settings(["--drivers-without-tokens"]).allow_unauthenticated_drivers
    monkeypatch.setenv("TELEWARP_DRIVERS_WITHOUT_TOKENS", "true")
    assert read_settings([]).allow_unauthenticated_drivers
    assert not read_settings(["--no-drivers-without-tokens"]).allow_unauthenticated_drivers


def test_a_wrong_value_of_a_former_name_is_reported_with_the_present_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(SettingsError, match="max_queue_length: expected a valid integer"):
        read_settings(["--max-waiting", "many"])
    monkeypatch.setenv("TELEWARP_MARK", "none")
    with pytest.raises(SettingsError, match="watermark: expected "):
        read_settings([])


def test_help_lists_no_former_name(capsys: pytest.CaptureFixture[str]) -> None:
    for kind in (Settings, RouterSettings):
        with pytest.raises(SystemExit):
            read_settings_of(kind, ["--help"])
        shown = capsys.readouterr().out
        for former, name in kind.renamed.items():
            assert f"--{name.replace('_', '-')}" in shown
            assert f"--{former.replace('_', '-')}" not in shown


def test_one_line_is_logged_for_each_former_name(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("TELEWARP_GRACE_S", "3")
    log_former_names(Settings, ["--max-waiting=5", "--port", "0", "--no-drivers-without-tokens"])
    assert sorted(caplog.messages) == [
        "--max-waiting is now called --max-queue-length; use the new name",
        "--no-drivers-without-tokens is now called --no-allow-unauthenticated-drivers; "
        "use the new name",
        "TELEWARP_GRACE_S is now called TELEWARP_DRAIN_TIMEOUT_S; use the new name",
    ]
    caplog.clear()
    log_former_names(RouterSettings, ["--connect-sources", "*", "--grace-s", "3"])
    assert caplog.messages == []  # neither is a former name of a router's setting
