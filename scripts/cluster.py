"""Serve from many GPUs and machines: one host per GPU, placed by Ray, behind a router.

    .venv/bin/pip install -c scripts/constraints.txt -e '.[cluster]'            # on every machine
    .venv/bin/python scripts/cluster.py head                                    # on the first
    .venv/bin/python scripts/cluster.py join 10.0.0.1:6379                      # on the others
    .venv/bin/python scripts/cluster.py hosts --router https://face.example.org --tokens tokens.toml
    .venv/bin/python scripts/cluster.py router --host 0.0.0.0 --port 8000 --tokens tokens.toml
    .venv/bin/python scripts/cluster.py status
    .venv/bin/python scripts/cluster.py drain http://10.0.0.2:8100              # no more viewers
    .venv/bin/python scripts/cluster.py stop http://10.0.0.2:8100               # end it
    .venv/bin/python scripts/cluster.py leave                                   # on each machine

`hosts` starts one host per GPU, or one per machine without GPUs. Run it again after machines have
joined or hosts were stopped; options after `--` are passed to every host. The token file must have
the same path on every machine. Without tokens the hosts accept local connections only, which is
enough to test on one machine.

A client of Ray can run any program, so Ray requires a token too: `head` creates ~/.ray/auth_token,
and every machine needs a copy of it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from server.access_settings import ROOT, log_former_names, read_settings_of
from server.auth.addresses import address_matcher
from server.cluster.router import create_router
from server.cluster.serving import address_of, print_line, serve
from server.cluster.settings import RouterSettings
from server.cluster.supervisor import HostPlan
from server.errors import SettingsError, TelewarpError
from server.network.connections import limit_connections
from server.network.listening import listen

RAY_PORT = 6379
FIRST_PORT = 8100
LOCAL = "127.0.0.1"
_TOKEN = Path.home() / ".ray" / "auth_token"

# Set before Ray is imported: it reads both variables at import.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
if "RAY_AUTH_TOKEN" not in os.environ:
    os.environ.setdefault("RAY_AUTH_MODE", "token")


def main(arguments: list[str]) -> int:
    """Run one of the commands. Returns the exit code."""
    wanted, rest = _parser().parse_known_args(arguments)
    try:
        if rest and wanted.run not in (_hosts, _router):
            raise SettingsError(f"expected no more arguments, got {' '.join(rest)}")
        wanted.rest = rest[1:] if rest[:1] == ["--"] else rest
        code: int = wanted.run(wanted)
        return code
    except TelewarpError as error:
        print(f"cluster: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--ray",
        default=os.environ.get("RAY_ADDRESS", f"{LOCAL}:{RAY_PORT}"),
        help="HOST:PORT of the cluster's first machine (default: RAY_ADDRESS, else this one)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    head = commands.add_parser("head", help="start a cluster on this machine")
    head.add_argument("--ip", help="address of this machine for the others, if it has several")
    head.add_argument("--ray-port", type=int, default=RAY_PORT, help="Ray's port")
    head.set_defaults(run=_head)
    join = commands.add_parser("join", help="add this machine to a cluster")
    join.add_argument("address", help="HOST:PORT of the first machine")
    join.add_argument("--ip", help="address of this machine for the others, if it has several")
    join.set_defaults(run=_join)
    commands.add_parser("leave", help="stop Ray on this machine").set_defaults(run=_leave)

    hosts = commands.add_parser("hosts", help="start a host on each GPU that has none")
    hosts.add_argument(
        "--router", help="origin of the viewers' page, the only one that the hosts accept"
    )
    hosts.add_argument(
        "--public-url",
        help="URL of a host for viewers; {ip}, {port} and {name} (of the machine) are replaced "
        "(default: http://{ip}:{port})",
    )
    hosts.add_argument("--listen", help="address each host listens on (default: {ip})")
    hosts.add_argument(
        "--first-port",
        type=int,
        default=FIRST_PORT,
        help="port of the first host of each machine, the others use the next ones; 0 for any",
    )
    hosts.add_argument("--tokens", type=Path, help="token file, at the same path on every machine")
    hosts.set_defaults(run=_hosts)
    router = commands.add_parser(
        "router",
        help="run the router here; takes the options of a router (--help lists them)",
        add_help=False,
    )
    router.set_defaults(run=_router)
    commands.add_parser("status", help="list all hosts").set_defaults(run=_status)
    for name, run, text in (
        ("drain", _drain, "assign no more viewers to a host"),
        ("stop", _stop, "stop a host; its viewers reconnect to others"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("address", help="address as `status` prints it")
        command.set_defaults(run=run)
    return parser


def _head(wanted: argparse.Namespace) -> int:
    if not _TOKEN.exists():
        _ray("get-auth-token", "--generate", quiet=True)
        _TOKEN.chmod(0o600)
    return _ray(
        "start", "--head", f"--port={wanted.ray_port}", "--include-dashboard=false", *_ip(wanted)
    )


def _join(wanted: argparse.Namespace) -> int:
    if not _TOKEN.exists():
        raise SettingsError(f"expected {_TOKEN}, a copy of the first machine's, got none")
    return _ray("start", f"--address={wanted.address}", *_ip(wanted))


def _leave(wanted: argparse.Namespace) -> int:
    return _ray("stop")


def _ip(wanted: argparse.Namespace) -> list[str]:
    return [f"--node-ip-address={wanted.ip}"] if wanted.ip else []


def _ray(*words: str, quiet: bool = False) -> int:
    """Run the `ray` program of this environment, whose workers import the server from here."""
    paths = [str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in paths if path)}
    command = [str(Path(sys.executable).with_name("ray")), *words]
    output = subprocess.DEVNULL if quiet else None
    return subprocess.run(command, env=environment, stdout=output, check=False).returncode


# The following commands import Ray where they need it; those above only run its program.
def _hosts(wanted: argparse.Namespace) -> int:
    options = list(wanted.rest)
    if wanted.router is not None:
        options += ["--allowed-origins", wanted.router]
    ip = LOCAL if wanted.tokens is None else "{ip}"
    plan = HostPlan(
        options=tuple(options),
        listen=wanted.listen or ip,
        port=wanted.first_port,
        public_url=wanted.public_url or f"http://{ip}:{{port}}",
        tokens=wanted.tokens.resolve() if wanted.tokens is not None else None,
    )
    from server.cluster import ray_cluster

    ray_cluster.connect(wanted.ray)
    started = ray_cluster.start_hosts(plan)
    for address, problem in started.items():
        print(f"{address}  {problem or 'responding'}")
    return 1 if any(started.values()) else 0


def _router(wanted: argparse.Namespace) -> int:
    settings = read_settings_of(RouterSettings, wanted.rest)
    log_former_names(RouterSettings, wanted.rest)
    from server.cluster import ray_cluster

    ray_cluster.connect(wanted.ray)
    app = create_router(settings, ray_cluster.RayPlacement())
    connections = limit_connections(
        settings.max_address_connections, address_matcher(settings.proxies)
    )
    with listen(settings.host, settings.port, connections) as listening:
        print_line(f"Telewarp routes at {address_of(listening)}")
        asyncio.run(serve(app, listening, connections))
    return 0


def _status(wanted: argparse.Namespace) -> int:
    from server.cluster import ray_cluster

    ray_cluster.connect(wanted.ray)
    found = ray_cluster.hosts()
    rows: list[Sequence[str]] = [("host", "state", "viewers", "streams")]
    for host in found:
        state = "drains" if host.draining else "ready" if host.ready else "not ready"
        rows.append((host.address, state, f"{host.sessions} of {host.capacity}", str(host.streams)))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        cells = (text.ljust(width) for text, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    return 0 if any(host.ready and not host.draining for host in found) else 1


def _drain(wanted: argparse.Namespace) -> int:
    from server.cluster import ray_cluster

    ray_cluster.connect(wanted.ray)
    ray_cluster.drain(wanted.address)
    print(f"{wanted.address} gets no more viewers; `status` shows when the last has left")
    return 0


def _stop(wanted: argparse.Namespace) -> int:
    from server.cluster import ray_cluster

    ray_cluster.connect(wanted.ray)
    ray_cluster.stop(wanted.address)
    print(f"{wanted.address} has stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
