"""Runs real proxies with the example configurations of `docker/`, without TLS on free ports."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "docker"
NAMES = ("nginx", "caddy")
_STARTED_S = 10.0


@contextmanager
def proxied(name: str, server_port: int, folder: Path) -> Iterator[str]:
    """Run a proxy in front of a server until the block ends; yield the address to open.

    Args:
        name: One of `NAMES`; the test is skipped if it is not installed.
        server_port: Port of the server on 127.0.0.1.
        folder: For the files of the proxy.
    """
    search_path = f"{os.environ['PATH']}:/usr/sbin"
    program = shutil.which(name, path=search_path)
    if program is None:
        pytest.skip(f"no {name}: apt-get install {name}")
    port = _free_port()
    configure = {"nginx": _configure_nginx, "caddy": _configure_caddy}[name]
    command = [program, *configure(folder, port, server_port)]
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command,
            stdout=output,
            stderr=output,
            env={"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": search_path},
        ) as process,
    ):
        try:
            _wait_for(port, process, log)
            yield f"http://127.0.0.1:{port}/face/"
        finally:
            process.terminate()


def _configure_nginx(folder: Path, port: int, server_port: int) -> list[str]:
    """Write the configuration; return the command-line options of the proxy."""
    site = _example("nginx.conf", server_port)
    lines = [line for line in site.splitlines() if not line.lstrip().startswith("ssl_")]
    (folder / "site.conf").write_text(
        "\n".join(lines).replace("listen 443 ssl;", f"listen 127.0.0.1:{port};")
    )
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    # One process, as the current user: other users cannot read pytest's folder.
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/site.conf; }}\n"
    )
    return ["-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def _configure_caddy(folder: Path, port: int, server_port: int) -> list[str]:
    """Write the configuration; return the command-line options of the proxy."""
    site = _example("Caddyfile", server_port).replace(
        "face.example.org {", f"http://127.0.0.1:{port} {{"
    )
    # No TLS, and no other listener: neither ports 80 and 443, nor Caddy's admin interface.
    (folder / "Caddyfile").write_text(f"{{\n\tadmin off\n\tauto_https off\n}}\n{site}")
    return ["run", "--config", str(folder / "Caddyfile"), "--adapter", "caddyfile"]


def _example(file: str, server_port: int) -> str:
    text = (EXAMPLES / file).read_text()
    assert text.count("127.0.0.1:8000") == 1
    return text.replace("127.0.0.1:8000", f"127.0.0.1:{server_port}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _STARTED_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except ConnectionRefusedError:
            assert process.poll() is None, f"the proxy ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"the proxy does not listen:\n{log.read_text()}"
            time.sleep(0.05)
        else:
            return
