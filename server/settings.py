"""Options of the server, from the command line or the environment, as one `Settings`.

They are read once, in `server.command` or a test, and passed down from `create_app`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal, LiteralString

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from models.contract.images import STRIDE
from models.contract.rendition import FRAME_SIZES
from server.access_settings import ROOT, AccessSettings, read_settings_of
from server.encoding.codecs import parse_codecs
from server.network.addresses import (
    CandidatePolicy,
    Reachability,
    is_loopback,
    parse_address,
    parse_ports,
)
from server.network.ice_servers import IceServers, parse_urls

_PARSERS: dict[str, tuple[Callable[[str], object], LiteralString]] = {
    "codecs": (parse_codecs, "expected h264 and vp8, or one of them, with a comma between"),
    "ice_servers": (parse_urls, "expected stun:HOST or turn:HOST addresses with commas between"),
    "public_address": (parse_address, "expected an IP address"),
    "drivers_host": (parse_address, "expected an IP address"),
    "udp_ports": (parse_ports, "expected a range of ports such as 40000-40100"),
}
"""Options with a special syntax: the function that parses them, and the error text."""


class Settings(AccessSettings):
    """A telepresence rendering server. Options come from the environment too: TELEWARP_PORT=80."""

    model_config = SettingsConfigDict(cli_prog_name="python -m server")
    renamed: ClassVar[Mapping[str, str]] = {
        "drivers_without_tokens": "allow_unauthenticated_drivers",
        "grace_s": "drain_timeout_s",
        "mark": "watermark",
        "max_waiting": "max_queue_length",
    }

    fps: float = Field(
        default=60.0, ge=1, le=240, description="maximum frames per second sent to a viewer"
    )
    device: str = Field(
        default="auto",
        description="where to render: auto (every GPU, else the CPU), cpu, cuda, or cuda:0,cuda:1",
    )
    cuda_kernels: Literal["auto", "triton", "torch"] = Field(
        default="auto",
        description="kernels of the warp on GPUs: triton (fused), torch (slower), or auto: triton "
        "if its results match those of torch",
    )
    warp_in: Literal["auto", "thread", "process"] = Field(
        default="auto",
        description="where a device warps: in a thread of the server or in a process of its own; "
        "auto: a thread for the CPU, a process for each GPU",
    )
    workers: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="render processes per device; default: by device and cores",
    )
    cores: int | None = Field(
        default=None,
        ge=1,
        le=4096,
        description="CPU cores that this server may use; default: those that it may run on, which "
        "several servers of one machine share",
    )
    threads: int | None = Field(
        default=None,
        ge=1,
        le=256,
        description="CPU threads per render process; default: by cores and processes",
    )
    avatars: Path = Field(
        default=ROOT / "models" / "avatars", description="folder with one folder per avatar"
    )
    max_sessions: int | None = Field(
        default=None,
        ge=1,
        description="maximum simultaneous viewers; default: as many as measured at the start to "
        "get 30 frames per second each, or --fps if less",
    )
    max_queue_length: int = Field(
        default=100,
        ge=0,
        description="maximum queued viewers; when the server is full, viewers queue and see their "
        "position",
    )
    max_token_share: float = Field(
        default=0.75,
        gt=0,
        le=1,
        description="largest part of the viewers, and of the queue, with the same token; 1: all",
    )
    max_address_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="largest part of the viewers, and of the queue, with the same address and the "
        "same token, if any; 1: all",
    )
    max_streams: int = Field(default=256, ge=1, description="maximum simultaneous streams")
    max_body_mb: float = Field(default=16.0, gt=0, description="maximum size of a request body, MB")
    max_line_kb: float = Field(
        default=2048.0,
        gt=0,
        description="maximum length of a line of a live NDJSON body or a WebSocket message, kB",
    )
    max_frames: int = Field(default=1024, ge=1, description="maximum frames in one JSON array")
    codecs: str = Field(
        default="h264,vp8",
        description="video codecs for viewers, the preferred one first; h264 is encoded by NVENC "
        "where available",
    )
    start_bitrate_kbps: int | None = Field(
        default=None,
        ge=100,
        description="initial video bitrate, kbit/s; default: by the size of the frames",
    )
    max_bitrate_kbps: int = Field(
        default=8000, ge=100, description="maximum video bitrate per viewer, kbit/s"
    )
    max_frame_size: int | None = Field(
        default=None,
        description="largest frames of video, rows and columns: 256, 320, 384, 512, 640 or 768; "
        "each viewer gets what its display needs; default: the avatar's own resolution",
    )
    min_frame_size: int = Field(
        default=0,
        ge=0,
        description="smallest frames of video, rows and columns, unless the largest are smaller; "
        "0: 256",
    )
    max_still_size: int = Field(
        default=512,
        ge=0,
        le=2048,
        multiple_of=STRIDE,
        description="largest refined still, rows and columns; images that do not move are shown as "
        "full renders of up to this size; 0: never",
    )
    idle_session_s: float = Field(
        default=10.0, gt=0, description="seconds without a keepalive after which a session ends"
    )
    idle_stream_s: float = Field(
        default=3600.0,
        gt=0,
        description="seconds without a publisher or viewer after which a stream is deleted (never "
        "`demo`)",
    )
    drain_timeout_s: float = Field(
        default=6.0,  # ending takes up to 3 more, and `docker stop` kills after 10
        ge=0,
        description="seconds that viewers have to leave after SIGTERM; Ctrl-C ends at once",
    )
    ice_servers: str = Field(
        default="",
        description="STUN and TURN servers, for viewers behind NATs and firewalls and for the "
        "server itself: stun:stun.example.org,turn:turn.example.org?transport=udp",
    )
    turn_secret: SecretStr = Field(
        default=SecretStr(""),
        description="shared secret of the TURN server, from which short-lived credentials are "
        "made; prefer TELEWARP_TURN_SECRET: other users can read command lines",
    )
    turn_username: str = Field(
        default="", description="user of a fixed TURN account, instead of a secret"
    )
    turn_password: SecretStr = Field(
        default=SecretStr(""), description="password of the fixed TURN account"
    )
    public_address: str | None = Field(
        default=None, description="public IP address of this machine (1:1 NAT)"
    )
    udp_ports: str | None = Field(
        default=None, description="UDP ports for video, such as 40000-40100; default: any"
    )
    private_candidates: Literal["allow", "deny"] = Field(
        default="allow",
        description="whether video may go to addresses of local networks that a viewer names; deny "
        "where all viewers come from the internet: they cannot make the server send datagrams to "
        "machines of its own network",
    )
    public_url: str | None = Field(
        default=None,
        pattern=r"^https?://[^/\s]+$",
        description="where a router redirects viewers to reach this host: https://gpu7.example.org",
    )
    demo: bool = Field(default=True, description="publish the idle animation as stream `demo`")
    live_link_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="UDP port for the app Live Link Face, usually 11111; default: none",
    )
    vmc_port: int | None = Field(
        default=None,
        ge=0,
        le=65535,
        description="UDP port for trackers that send VMC (OSC), usually 39539; default: none",
    )
    drivers_host: str = Field(
        default="127.0.0.1",
        description="IP address on which UDP drivers listen; 0.0.0.0 for every network",
    )
    drivers_avatar: str = Field(
        default="default", description="avatar of the streams of UDP drivers"
    )
    allow_unauthenticated_drivers: bool = Field(
        default=False,
        description="allow UDP drivers beside --tokens: their packets carry no token",
    )
    max_subjects: int = Field(
        default=16, ge=1, description="maximum faces of a UDP driver, each with a stream"
    )
    max_calls: int = Field(
        default=64, ge=1, description="maximum simultaneous calls, of up to 4 people each"
    )
    call_grace_s: float = Field(
        default=20.0,
        ge=0,
        description="seconds that a call keeps the seat of a participant whose connection was lost",
    )
    recordings: Path | None = Field(
        default=None, description="folder for recordings of streams; default: none can be made"
    )
    max_recordings: int = Field(
        default=100, ge=1, description="maximum recordings that are kept; none is deleted for more"
    )
    max_recording_mb: float = Field(
        default=256.0, gt=0, description="maximum size of a recording, MB; it ends there"
    )
    max_recording_s: float = Field(
        default=3600.0, gt=0, description="maximum length of a recording, seconds; it ends there"
    )

    avatar_store: Path | None = Field(
        default=None,
        description="folder for avatars that are uploaded or made from videos while the server "
        "runs; default: none can be added",
    )
    max_avatars: int = Field(
        default=20, ge=1, description="maximum avatars in --avatar-store, those in work included"
    )
    max_avatar_jobs: int = Field(
        default=4, ge=1, description="maximum jobs that upload, wait or run; one runs at a time"
    )
    max_upload_mb: float = Field(
        default=1024.0, gt=0, description="maximum size of a video or an archive, MB"
    )
    max_job_disk_mb: float = Field(
        default=20_000.0, gt=0, description="maximum disk space of a job, MB; it fails there"
    )
    max_job_memory_mb: float = Field(
        default=8192.0, gt=0, description="maximum memory of each process of a job, MB"
    )
    max_job_minutes: float = Field(
        default=240.0, gt=0, description="maximum running time of a job, minutes; it fails there"
    )

    watermark: Literal["off", "real", "all"] = Field(
        default="real",
        description='avatars whose frames carry the visible watermark "AI-rendered": none, those '
        "of real people, or all",
    )

    @field_validator("codecs", "drivers_host", "ice_servers", "public_address", "udp_ports")
    @classmethod
    def _check_form(cls, value: str | None, info: ValidationInfo) -> str | None:
        assert info.field_name is not None
        parse, form = _PARSERS[info.field_name]
        try:
            if value is not None:
                parse(value)
        except ValueError:
            raise PydanticCustomError("form", form) from None
        return value

    @field_validator("max_frame_size")
    @classmethod
    def _check_frame_size(cls, value: int | None) -> int | None:
        if value is not None and value not in FRAME_SIZES:
            sizes = ", ".join(map(str, FRAME_SIZES))
            raise PydanticCustomError("size", "expected one of {sizes}", {"sizes": sizes})
        return value

    @property
    def ice(self) -> IceServers:
        """STUN and TURN servers.

        Raises:
            SettingsError: If a TURN server is set without a secret or an account.
        """
        return IceServers(
            parse_urls(self.ice_servers),
            self.turn_secret.get_secret_value(),
            self.turn_username,
            self.turn_password.get_secret_value(),
        )

    @property
    def reachability(self) -> Reachability:
        """Advertised address and UDP ports of the server."""
        ports = parse_ports(self.udp_ports) if self.udp_ports is not None else None
        address = parse_address(self.public_address) if self.public_address is not None else None
        return Reachability(ports, address)

    @property
    def candidates(self) -> CandidatePolicy:
        """Addresses of viewers that may be contacted."""
        only_here = self.tokens is None and not self.insecure and is_loopback(self.host)
        return CandidatePolicy(loopback=only_here, private=self.private_candidates == "allow")

    @property
    def largest_body(self) -> int:
        """Maximum size of a request body, bytes; a live NDJSON body as a whole has no limit."""
        return round(self.max_body_mb * 1e6)

    @property
    def longest_line(self) -> int:
        """Maximum length of a line of a live body or of a WebSocket message, bytes."""
        return round(self.max_line_kb * 1e3)


def read_settings(arguments: Sequence[str]) -> Settings:
    """Parse the server's command line and environment.

    Raises:
        SettingsError: If a value is wrong; the text names it.
        SystemExit: On `--help` and on unknown options.
    """
    return read_settings_of(Settings, arguments)
