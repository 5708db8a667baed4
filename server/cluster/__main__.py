"""Start a router: `python -m server.cluster --help`.

    python -m server.cluster --hosts http://10.0.0.7:8000,http://10.0.0.8:8000 --tokens t.toml
    python -m server.cluster --devices cuda -- --fps 60

Hosts of a list are plain servers (`python -m server`) with the same tokens, a `--public-url` of
their own, and the router's address among their `--allowed-origins`. With `--devices` the router
starts one host for each device of its machine and keeps it running; options after `--` are passed
to every host. With Ray instead of a list: `scripts/cluster.py`.
"""

from __future__ import annotations

import asyncio
import logging
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

from pydantic import Field, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import SettingsConfigDict

from server import logs
from server.access_settings import log_former_names, read_settings_of
from server.auth.addresses import address_matcher
from server.auth.tokens import read_tokens
from server.cluster.local import LocalPlacement
from server.cluster.machine import MachinePlacement, find_devices
from server.cluster.router import create_router
from server.cluster.serving import address_of, print_line, serve
from server.cluster.settings import RouterSettings
from server.cluster.supervisor import HostPlan
from server.errors import SettingsError
from server.network.connections import limit_connections
from server.network.listening import listen
from server.pool.sizing import available_cores

FIRST_PORT = 8100
_ADDRESS = re.compile(r"https?://(?:[^\s/:?#@\[\]]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:/[^\s?#]*)?")


class ListSettings(RouterSettings):
    """A router in front of hosts. Options come from the environment too."""

    model_config = SettingsConfigDict(cli_prog_name="python -m server.cluster")

    hosts: str = Field(
        default="",
        description="addresses of the hosts: http://10.0.0.7:8000,...; a name that resolves to "
        "several addresses counts as all of them",
    )
    devices: str = Field(
        default="",
        description="instead of --hosts: start a host for each of these devices of this machine: "
        "cuda, cuda:0,cuda:1, or auto; options after -- are passed to every host",
    )
    first_port: int = Field(
        default=FIRST_PORT,
        ge=0,
        le=65535,
        description="with --devices: port of the first host, the others use the next ones; 0 for "
        "any that are free",
    )
    host_url: str | None = Field(
        default=None,
        description="with --devices: URL of a host for viewers, in which {port} is replaced; "
        "default: http://HOST:{port} with the --host of the router",
    )

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, value: str) -> str:
        for address in value.split(","):
            if address.strip() and not _ADDRESS.fullmatch(address.strip()):
                raise PydanticCustomError("form", "expected addresses such as http://10.0.0.7:8000")
        return value

    @property
    def addresses(self) -> tuple[str, ...]:
        """Addresses of the hosts, without a trailing slash."""
        named = (address.strip().rstrip("/") for address in self.hosts.split(","))
        return tuple(address for address in named if address)

    def plan(self, router: str, options: Sequence[str]) -> HostPlan:
        """Return how the hosts of `devices` are started.

        Args:
            router: Address of the router.
            options: Further options of every host.

        Raises:
            SettingsError: If viewers could not reach the hosts.
        """
        everywhere = self.host in ("0.0.0.0", "::")
        if everywhere and not (self.host_url and self.allowed_origins):
            raise SettingsError(
                f"expected --host-url and --allowed-origins with --host {self.host}, such as "
                "http://face.example.org:{port} and http://face.example.org:8000: viewers are sent "
                "to the hosts, which accept the router's page only"
            )
        shown = f"[{self.host}]" if ":" in self.host else self.host
        local = router.replace("127.0.0.1", "localhost")
        origins = self.allowed_origins or ",".join(dict.fromkeys((router, local)))
        more = ("--insecure",) if self.insecure else ()
        return HostPlan(
            options=("--allowed-origins", origins, *more, *options),
            listen=self.host,
            port=self.first_port,
            public_url=self.host_url or f"http://{shown}:{{port}}",
            tokens=self.tokens.resolve() if self.tokens is not None else None,
        )


def main(
    arguments: list[str],
    module: str = "server.command",
    find: Callable[[str], Sequence[str]] = find_devices,
) -> int:
    """Run the router until SIGINT or SIGTERM.

    Args:
        arguments: The command line without the program name.
        module: Module whose `main` runs a host of this machine.
        find: Returns the devices that an option names.

    Returns:
        The exit code of the process.
    """
    own, options = _split(arguments)
    try:
        settings = read_settings_of(ListSettings, own)
        level = logging.getLevelNamesMapping()[settings.log_level.upper()]
        logs.configure(settings.log_format, level)
        log_former_names(ListSettings, own)
        if bool(settings.addresses) == bool(settings.devices):
            raise SettingsError("expected either --hosts with at least one address or --devices")
        connections = limit_connections(
            settings.max_address_connections, address_matcher(settings.proxies)
        )
        with listen(settings.host, settings.port, connections) as listening:
            placement = _placement(settings, address_of(listening), options, module, find)
            app = create_router(settings, placement)
            print_line(f"Telewarp routes at {address_of(listening)}")
            asyncio.run(serve(app, listening, connections, placement.run()))
    except SettingsError as exc:
        print_line(f"Telewarp cannot route: {exc}", sys.stderr)
        return 1
    return 0


def _split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Return the router's own arguments and, after `--`, those of the hosts."""
    if "--" not in arguments:
        return arguments, []
    end = arguments.index("--")
    return arguments[:end], arguments[end + 1 :]


def _placement(
    settings: ListSettings,
    router: str,
    options: Sequence[str],
    module: str,
    find: Callable[[str], Sequence[str]],
) -> LocalPlacement:
    if settings.devices:
        plan = replace(settings.plan(router, options), module=module)
        devices = find(settings.devices)
        return MachinePlacement(plan, devices, settings.host, available_cores())
    tokens = read_tokens(settings.tokens) if settings.tokens is not None else None
    return LocalPlacement(settings.addresses, tokens)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
