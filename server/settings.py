"""Everything that can be set, on the command line or in the environment, as one `Settings`.

Read once, in `server.__main__` or a test, and passed down from `create_app`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import LiteralString, TypeVar

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableSettingsError

from server.encoding.codecs import parse_codecs
from server.errors import SettingsError
from server.logs import LogFormat
from server.network.addresses import Reachability, parse_address, parse_ports
from server.network.ice_servers import IceServers, parse_urls
from server.protocol.messages import describe

ROOT = Path(__file__).resolve().parent.parent
_FORMS: dict[str, tuple[Callable[[str], object], LiteralString]] = {
    "codecs": (parse_codecs, "expected h264 and vp8, or one of them, with a comma between"),
    "ice_servers": (parse_urls, "expected stun:HOST or turn:HOST addresses with commas between"),
    "public_address": (parse_address, "expected an IP address"),
    "udp_ports": (parse_ports, "expected a range of ports such as 40000-40100"),
}


class Settings(BaseSettings):
    """A telepresence rendering server. Options come from the environment too: TELEWARP_PORT=80."""

    model_config = SettingsConfigDict(
        env_prefix="TELEWARP_",
        frozen=True,
        cli_prog_name="python -m server",
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        cli_shortcuts={"port": "p"},
    )

    host: str = Field(
        default="127.0.0.1", description="address to listen on; 0.0.0.0 for every network"
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one"
    )
    fps: float = Field(
        default=60.0, ge=1, le=240, description="most frames a second sent to a viewer"
    )
    device: str = Field(
        default="auto",
        description="where to render: auto (every GPU, else the CPU), cpu, cuda, or cuda:0,cuda:1",
    )
    workers: int | None = Field(
        default=None, ge=1, le=64, description="render processes per device; default: what suits"
    )
    threads: int | None = Field(
        default=None, ge=1, le=256, description="CPU threads of each; default: what suits"
    )
    avatars: Path = Field(
        default=ROOT / "models" / "avatars", description="folder with one folder per avatar"
    )
    client: Path = Field(default=ROOT / "client_web", description="folder of the viewer page")
    max_sessions: int | None = Field(
        default=None,
        ge=1,
        description="most viewers at a time; default: as many as measured at the start to get 30 "
        "frames a second each, or --fps if less",
    )
    max_waiting: int = Field(
        default=100, ge=0, description="most viewers waiting for one of them to leave"
    )
    max_streams: int = Field(default=256, ge=1, description="most streams at a time")
    max_body_mb: float = Field(default=16.0, gt=0, description="largest request body, MB")
    max_line_kb: float = Field(
        default=2048.0, gt=0, description="longest line of a live NDJSON body or WebSocket, kB"
    )
    max_frames: int = Field(default=1024, ge=1, description="most frames in one JSON array")
    codecs: str = Field(
        default="h264,vp8",
        description="video codecs for viewers, the preferred one first; h264 is encoded by NVENC "
        "where there is one",
    )
    start_bitrate_kbps: int | None = Field(
        default=None,
        ge=100,
        description="kilobits a second of video to begin with; default: what suits the picture",
    )
    max_bitrate_kbps: int = Field(
        default=8000, ge=100, description="most kilobits a second of video to a viewer"
    )
    idle_session_s: float = Field(
        default=10.0, gt=0, description="seconds without a sign of life that end a session"
    )
    idle_stream_s: float = Field(
        default=3600.0,
        gt=0,
        description="seconds without a publisher or viewer that delete a stream (never `demo`)",
    )
    grace_s: float = Field(
        default=6.0,  # ending takes up to 3 more, and `docker stop` kills after 10
        ge=0,
        description="seconds that viewers have to leave after SIGTERM; Ctrl-C waits for nobody",
    )
    ice_servers: str = Field(
        default="",
        description="for viewers behind NATs and firewalls, and the server's own connections: "
        "stun:stun.example.org,turn:turn.example.org?transport=udp",
    )
    turn_secret: SecretStr = Field(
        default=SecretStr(""),
        description="the TURN server's shared secret, to make short-lived credentials with; "
        "rather set TELEWARP_TURN_SECRET: command lines can be read by others",
    )
    turn_username: str = Field(default="", description="fixed TURN account, without a secret")
    turn_password: SecretStr = Field(default=SecretStr(""), description="of that account")
    public_address: str | None = Field(
        default=None, description="IP address this machine is known by outside (1:1 NAT)"
    )
    udp_ports: str | None = Field(
        default=None, description="UDP ports for video, such as 40000-40100; default: any"
    )
    tokens: Path | None = Field(
        default=None,
        description="file of tokens, see scripts/make_token.py; needed to serve other machines",
    )
    insecure: bool = Field(
        default=False, description="serve others without tokens: anyone may do anything"
    )
    allowed_origins: str | None = Field(
        default=None,
        description="web pages of other origins that may use this server: https://a.example,..., *",
    )
    max_requests_per_s: float = Field(
        default=100.0, gt=0, description="most requests a second of one client, on average"
    )
    max_connections: int = Field(
        default=64, ge=1, description="most requests and WebSockets of one client at a time"
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        description="where a router sends viewers to reach this host: https://gpu7.example.org",
    )
    demo: bool = Field(default=True, description="publish the idle animation as stream `demo`")
    log_level: str = Field(
        default="warning",
        pattern="^(debug|info|warning|error)$",
        description="debug, info, warning or error",
    )
    log_format: LogFormat = Field(
        default="text", description="text for people, json for programs: one object a line"
    )

    @field_validator("codecs", "ice_servers", "public_address", "udp_ports")
    @classmethod
    def _check_form(cls, value: str | None, info: ValidationInfo) -> str | None:
        assert info.field_name is not None
        parse, form = _FORMS[info.field_name]
        try:
            if value is not None:
                parse(value)
        except ValueError:
            raise PydanticCustomError("form", form) from None
        return value

    @property
    def ice(self) -> IceServers:
        """Servers that help viewers through NATs and firewalls.

        Raises:
            SettingsError: If there is a TURN server and nothing to log in with.
        """
        return IceServers(
            parse_urls(self.ice_servers),
            self.turn_secret.get_secret_value(),
            self.turn_username,
            self.turn_password.get_secret_value(),
        )

    @property
    def reach(self) -> Reachability:
        """Where the server itself can be reached."""
        ports = parse_ports(self.udp_ports) if self.udp_ports is not None else None
        address = parse_address(self.public_address) if self.public_address is not None else None
        return Reachability(ports, address)

    @property
    def origins(self) -> tuple[str, ...]:
        """Other web pages that may use this server."""
        named = (self.allowed_origins or "").split(",")
        return tuple(origin.strip().rstrip("/") for origin in named if origin.strip())

    @property
    def largest_body(self) -> int:
        """Bytes of the largest request body; a live NDJSON body as a whole is not limited."""
        return round(self.max_body_mb * 1e6)

    @property
    def longest_line(self) -> int:
        """Bytes of the longest line of a live body, and of a WebSocket message."""
        return round(self.max_line_kb * 1e3)


Kind = TypeVar("Kind", bound=Settings)


def read_settings(arguments: Sequence[str]) -> Settings:
    """Read the server's command line and environment; raises what `read_settings_of` does."""
    return read_settings_of(Settings, arguments)


def read_settings_of(kind: type[Kind], arguments: Sequence[str]) -> Kind:
    """Read the command line and the environment of a program that has settings of its own.

    Raises:
        SettingsError: If a value is wrong; the text names it.
        SystemExit: On `--help` and on options that do not exist, as is usual for argparse.
    """
    try:
        return CliApp.run(kind, list(arguments), cli_show_env_vars=False)
    except ValidationError as exc:
        raise SettingsError(describe(exc)) from exc
    except UnreadableSettingsError as exc:
        raise SettingsError(str(exc)) from exc
