"""A router of listed hosts; the hosts run as supervised child processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import pytest
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from server.auth.grants import Scope
from server.auth.tokens import Tokens, read_tokens
from server.cluster.local import LocalPlacement
from server.cluster.router import create_router
from server.cluster.settings import RouterSettings
from server.cluster.supervisor import HostPlan, HostSlot, HostSupervisor
from server.network.listening import listen
from server.protocol.host_load import HeldStream, HostLoad

pytestmark = [pytest.mark.slow]

READY_S = 40.0


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    token_file = tmp_path / "tokens.toml"
    token_file.write_text('signing_keys = ["a key of thirty-two bytes or more"]')
    return token_file


@asynccontextmanager
async def supervised_host(token_file: Path) -> AsyncIterator[HostSupervisor]:
    """Run a supervised host that reports to no registry: the router polls it."""

    async def heard(address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        return ()

    plan = HostPlan(
        options=("--workers", "1"),
        listen="127.0.0.1",
        public_url="http://127.0.0.1:{port}",
        tokens=token_file,
        module="tests.server.network.fake_server",
    )
    supervisor = HostSupervisor(plan, HostSlot("127.0.0.1", "here", 0))
    keeping = asyncio.create_task(supervisor.keep(heard))
    try:
        yield supervisor
    finally:
        keeping.cancel()
        with suppress(asyncio.CancelledError):
            await keeping
        await asyncio.to_thread(supervisor.stop)


@asynccontextmanager
async def running_router(token_file: Path, hosts: list[str]) -> AsyncIterator[str]:
    placement = LocalPlacement(hosts, read_tokens(token_file))
    settings = RouterSettings(port=0, tokens=token_file)
    async with AsyncExitStack() as stack:
        listening = stack.enter_context(listen(settings.host, settings.port))
        app = create_router(settings, placement)
        server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None))
        polling = asyncio.create_task(placement.run())
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            polling.cancel()
            server.should_exit = True
            await serving


def bearer(tokens: Tokens, *scopes: Scope) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.sign(scopes, None, 5)}"}


async def hosts_at(router: httpx2.AsyncClient, count: int) -> None:
    async with asyncio.timeout(READY_S):
        while True:
            answer = await router.get("/readyz")
            if answer.status_code == 200 and answer.json()["hosts"] == count:
                return
            await asyncio.sleep(0.2)


async def test_a_published_stream_outlives_its_host(token_file: Path) -> None:
    tokens = read_tokens(token_file)
    async with supervised_host(token_file) as one, supervised_host(token_file) as other:
        addresses = [one.address, other.address]
        async with (
            running_router(token_file, addresses) as address,
            httpx2.AsyncClient(base_url=address, follow_redirects=True) as router,
        ):
            await hosts_at(router, 2)
            publisher = bearer(tokens, Scope.PUBLISH)
            created = await router.post("/v1/streams", json={"id": "me"}, headers=publisher)
            assert created.status_code == 201
            home = f"http://{urlsplit(str(created.url)).netloc}"
            frame = {"seq": 0, "expression": {"jawOpen": 0.5}}
            posted = await router.post("/v1/streams/me/frames", json=frame, headers=publisher)
            assert posted.json() == {"accepted": 1, "dropped": 0, "last_seq": 0}
            assert str(posted.url).startswith(home), (
                "frames were not redirected to the stream's host"
            )
            taken = await router.post("/v1/streams", json={"id": "me"}, headers=publisher)
            assert taken.status_code == 409
            wrong = await router.post(
                "/v1/streams/me/frames", json=frame, headers=bearer(tokens, Scope.VIEW)
            )
            assert wrong.status_code == 403

            admin = bearer(tokens, Scope.ADMIN)
            async with asyncio.timeout(3):
                while len((await router.get("/v1/streams", headers=admin)).json()) < 2:
                    await asyncio.sleep(0.1)  # until the router has polled the stream's host
            supervisor = one if one.address == home else other
            assert supervisor._process is not None
            supervisor._process.kill()
            async with asyncio.timeout(10):
                while True:
                    # Redirects go to the killed host until its lease ends or a new run reports.
                    with suppress(httpx2.TransportError):
                        found = await router.get("/v1/streams/me", headers=publisher)
                        if found.status_code == 200:
                            break
                        assert found.status_code in (404, 503)
                    await asyncio.sleep(0.1)
            assert not str(found.url).startswith(home)
            await hosts_at(router, 2)
            assert supervisor.running, "the supervisor has not restarted the host"
            again = await router.get("/v1/hosts", headers=admin)
            assert sum(host["streams"] for host in again.json()) == 3, (
                "expected the two demo streams and `me`"
            )


async def test_people_of_a_call_share_a_host_and_move_to_another_when_it_is_killed(
    token_file: Path,
) -> None:
    tokens = read_tokens(token_file)
    token = tokens.sign([Scope.PUBLISH, Scope.VIEW], ["us"], 5)

    async def find(router: httpx2.AsyncClient) -> httpx2.Response:
        """Find a call's host as a page does: its token is dropped on redirects to other origins."""
        headers = {"Authorization": f"Bearer {token}"}
        sent = await router.get("/v1/calls/us", headers=headers)
        assert sent.status_code == 307
        return await router.get(sent.headers["location"])

    async def join(found: httpx2.Response, name: str) -> ClientConnection:
        address = str(found.url.copy_with(scheme="ws", query=None))
        given = f"telewarp.token.{found.headers['telewarp-token']}"
        socket = await connect(address, subprotocols=[Subprotocol("telewarp"), Subprotocol(given)])
        await socket.send(json.dumps({"type": "join", "name": name}))
        assert json.loads(await socket.recv())["type"] == "joined"
        return socket

    async with supervised_host(token_file) as one, supervised_host(token_file) as other:
        addresses = [one.address, other.address]
        async with (
            running_router(token_file, addresses) as address,
            httpx2.AsyncClient(base_url=address) as r,
        ):
            await hosts_at(r, 2)
            ada = await join(await find(r), "Ada")
            bo = await join(await find(r), "Bo")
            people = json.loads(await bo.recv())["people"]
            assert [person["name"] for person in people] == ["Ada", "Bo"]
            home = str(bo.request and bo.request.headers["Host"])
            elsewhere = await r.get("/v1/calls/them", headers={"Authorization": f"Bearer {token}"})
            assert elsewhere.status_code == 403

            supervisor = one if one.address.endswith(home) else other
            assert supervisor._process is not None
            supervisor._process.kill()
            await asyncio.gather(ada.wait_closed(), bo.wait_closed())
            async with asyncio.timeout(10):
                while True:  # redirected to the killed host until its lease ends
                    with suppress(httpx2.TransportError):
                        found = await find(r)
                        break
                    await asyncio.sleep(0.1)
            ada, bo = await join(found, "Ada"), await join(await find(r), "Bo")
            people = json.loads(await bo.recv())["people"]
            assert [person["name"] for person in people] == ["Ada", "Bo"]
            assert bo.request is not None
            assert bo.request.headers["Host"] != home
            await ada.close()
            await bo.close()


async def test_a_host_ends_with_its_supervisor(token_file: Path) -> None:
    async with supervised_host(token_file) as supervisor:
        async with asyncio.timeout(READY_S):
            while not supervisor.responding:
                await asyncio.sleep(0.1)
        process = supervisor._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()  # as the kernel does when the supervisor has died
        assert await asyncio.to_thread(process.wait, 10) == 0


async def test_the_last_output_of_a_host_is_kept(token_file: Path) -> None:
    token_file.write_text("nonsense =")
    module = "tests.server.network.fake_server"
    plan = HostPlan(("--tokens", str(token_file)), listen="127.0.0.1", module=module)
    supervisor = HostSupervisor(plan, HostSlot("127.0.0.1", "here", 0))

    async def heard(address: str, load: HostLoad) -> tuple[HeldStream, ...]:
        raise AssertionError("it cannot have told anything")

    keeping = asyncio.create_task(supervisor.keep(heard))
    try:
        async with asyncio.timeout(READY_S):
            while "expected TOML" not in supervisor.last_log_line:
                await asyncio.sleep(0.1)
        assert not supervisor.responding
    finally:
        keeping.cancel()
        supervisor.stop()
