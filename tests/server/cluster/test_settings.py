"""The router accepts only the server's options that it uses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.access_settings import read_settings_of
from server.cluster.__main__ import ListSettings
from server.cluster.settings import RouterSettings


def test_options_are_parsed() -> None:
    arguments = ["--port", "0", "--tokens", "t.toml", "--hosts", "http://a:8000/, http://b:8000"]
    settings = read_settings_of(ListSettings, arguments)
    assert (settings.port, settings.tokens) == (0, Path("t.toml"))
    assert settings.addresses == ("http://a:8000", "http://b:8000")
    assert settings.host_sources == ("http://*:*", "ws://*:*")


@pytest.mark.parametrize("option", ["--fps", "--device", "--codecs", "--max-sessions"])
def test_options_of_rendering_are_refused(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        read_settings_of(RouterSettings, [option, "1"])
    assert caught.value.code == 2
    assert option in capsys.readouterr().err


def test_environment_variables_of_a_host_are_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TELEWARP_UDP_PORTS", "40000-40100")
    monkeypatch.setenv("TELEWARP_HOSTS", "http://hosts:8000")
    assert read_settings_of(ListSettings, []).addresses == ("http://hosts:8000",)


def test_a_former_name_of_an_option_is_accepted_and_logged() -> None:
    command = [sys.executable, "-m", "server.cluster", "--reached", "https://a.example"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    # Sorted, because a thread of its own writes the log.
    error, notice = sorted(done.stderr.splitlines())
    assert error.startswith("Telewarp cannot route: expected either --hosts")
    assert notice.startswith("WARNING")
    assert notice.endswith("--reached is now called --connect-sources; use the new name")
