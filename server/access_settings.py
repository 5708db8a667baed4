"""Options that a server and a router share, and how a program reads its options."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableSettingsError

from server.errors import SettingsError
from server.logs import LogFormat
from server.network.addresses import parse_networks
from server.network.origins import parse_origins
from server.protocol.json_text import describe
from server.renamed_settings import PREFIX, notices, rename_options, values_of_variables

logger = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parent.parent


class AccessSettings(BaseSettings):
    """Address, page, authentication, limits and log of a program that serves HTTP."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        cli_kebab_case=True,
        cli_avoid_json=True,
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        cli_shortcuts={"port": "p"},
    )
    renamed: ClassVar[Mapping[str, str]] = {}
    """Present name of a setting by its former one; both are accepted, `--help` lists the first."""

    host: str = Field(
        default="127.0.0.1", description="address to listen on; 0.0.0.0 for every network"
    )
    port: int = Field(
        default=8000, ge=0, le=65535, description="port to listen on; 0 chooses a free one"
    )
    client: Path = Field(default=ROOT / "client_web", description="folder of the viewer page")
    tokens: Path | None = Field(
        default=None,
        description="file of tokens, see scripts/make_token.py; required to serve other machines",
    )
    insecure: bool = Field(
        default=False, description="serve other machines without tokens: every client may do all"
    )
    allowed_origins: str | None = Field(
        default=None,
        description="web pages of other origins that may use this server: https://a.example,..., *",
    )
    max_requests_per_s: float = Field(
        default=100.0, gt=0, description="maximum requests per second of one client, on average"
    )
    max_connections: int = Field(
        default=64, ge=1, description="maximum simultaneous requests and WebSockets of one client"
    )
    max_address_connections: int = Field(
        default=512,
        ge=1,
        description="maximum TCP connections of one address; the oldest one without a request is "
        "closed for a newer one",
    )
    trusted_proxies: str = Field(
        default="",
        description="proxies in front of this server, whose X-Forwarded-For and X-Forwarded-Proto "
        "headers are believed: addresses and networks such as 127.0.0.1,10.0.0.0/8",
    )
    log_level: str = Field(
        default="warning",
        pattern="^(debug|info|warning|error)$",
        description="debug, info, warning or error",
    )
    log_format: LogFormat = Field(
        default="text", description="text for people, json for programs: one object per line"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read variables with former names where those with present names are not set."""
        former = InitSettingsSource(settings_cls, dict(values_of_variables(cls.renamed)))
        return init_settings, env_settings, former

    @field_validator("trusted_proxies")
    @classmethod
    def _check_proxies(cls, value: str) -> str:
        try:
            parse_networks(value)
        except ValueError:
            raise PydanticCustomError(
                "form", "expected addresses and networks such as 127.0.0.1,10.0.0.0/8"
            ) from None
        return value

    @field_validator("allowed_origins")
    @classmethod
    def _check_origins(cls, value: str | None) -> str | None:
        try:
            parse_origins(value or "")
        except ValueError:
            raise PydanticCustomError(
                "form", "expected origins such as https://a.example,https://b.example:8443, or *"
            ) from None
        return value

    @property
    def proxies(self) -> tuple[str, ...]:
        """Addresses and networks of proxies in front of this server."""
        return parse_networks(self.trusted_proxies)

    @property
    def origins(self) -> tuple[str, ...]:
        """Origins of other web pages that may use this server, as browsers write them."""
        return parse_origins(self.allowed_origins or "")


Kind = TypeVar("Kind", bound=AccessSettings)


def read_settings_of(kind: type[Kind], arguments: Sequence[str]) -> Kind:
    """Parse the command line and environment of a program with another settings class.

    Args:
        kind: The class, which names the options.
        arguments: The command line without the program name.

    Raises:
        SettingsError: If a value is wrong; the text names it.
        SystemExit: On `--help` and on unknown options.
    """
    try:
        return CliApp.run(kind, rename_options(arguments, kind.renamed), cli_show_env_vars=False)
    except ValidationError as exc:
        raise SettingsError(describe(exc)) from exc
    except UnreadableSettingsError as exc:
        raise SettingsError(str(exc)) from exc


def log_former_names(kind: type[AccessSettings], arguments: Sequence[str]) -> None:
    """Log which options and variables should be given by their present names.

    Separate from reading them, because the settings configure the log.
    """
    for notice in notices(arguments, kind.renamed):
        logger.warning("%s", notice)
