"""The viewer of a server that requires tokens, and what its Content-Security-Policy permits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from server.auth.grants import Scope
from server.auth.tokens import Tokens, read_tokens
from tests.browser.conftest import FAKE_ENGINE, Server, running
from tests.warm_python import WarmPython

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage


pytestmark = pytest.mark.browser

LIVE = "window.telewarp?.stats().state === 'live'"
_TIMEOUT_S = 30.0
COUNT_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  violations.push(`${violatedDirective} ${blockedURI}`));
"""


class ProtectedServer(NamedTuple):
    """A server that requires tokens, and the keys that sign them."""

    server: Server
    tokens: Tokens

    def token(self, *scopes: Scope, streams: list[str] | None = None) -> str:
        return self.tokens.sign(scopes, streams, 5)


@pytest.fixture(scope="module")
def protected(
    tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython
) -> Iterator[ProtectedServer]:
    """A server with the fake engine that requires tokens."""
    folder: Path = tmp_path_factory.mktemp("protected")
    file = folder / "tokens.toml"
    file.write_text('signing_keys = ["a key of thirty-two bytes or more"]')
    options = ("--tokens", str(file), "--log-level", "debug", "--max-sessions", "8")
    server = Server(warm_python, folder / "log.txt", *options)
    server.program = FAKE_ENGINE
    with running(server):
        yield ProtectedServer(server, read_tokens(file))


@pytest.fixture
def strict_page(open_page: OpenPage) -> Page:
    """An empty page that enforces the Content-Security-Policy and records its violations."""
    page: Page = open_page("about:blank", bypass_csp=False)
    page.add_init_script(COUNT_VIOLATIONS)
    return page


def wait_until(page: Page, condition: str) -> None:
    """Poll a condition; the policy forbids `wait_for_function`."""
    deadline = time.monotonic() + _TIMEOUT_S
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"not within {_TIMEOUT_S:g} s: {condition}"
        page.wait_for_timeout(100)


def test_a_page_without_a_token_asks_for_one_and_uses_it(
    protected: ProtectedServer, strict_page: Page
) -> None:
    page = strict_page
    page.goto(protected.server.address)
    expect(page.locator("#notice")).to_contain_text("Sign in to watch", timeout=15_000)
    field = page.get_by_label("Token", exact=True)
    expect(field).to_be_focused()
    page.keyboard.type("chrf wrong token")  # letters that are also shortcuts of the page
    expect(field).to_have_value("chrf wrong token")
    assert page.evaluate("!document.body.className.includes('controls-open')")
    page.keyboard.press("Enter")
    expect(field).to_have_value("")
    expect(page.locator("#notice")).to_contain_text("This token is not accepted")
    field.fill(protected.token(Scope.VIEW, streams=["elsewhere"]))
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#notice")).to_contain_text("Expected a token for stream 'demo'")
    field.fill(protected.token(Scope.VIEW))
    page.get_by_role("button", name="Watch").click()
    wait_until(page, LIVE)
    expect(field).to_be_hidden()
    assert page.evaluate("violations") == []


def test_a_link_with_a_token_connects_and_removes_the_token_from_the_address(
    protected: ProtectedServer, strict_page: Page
) -> None:
    page = strict_page
    token = protected.token(Scope.VIEW, Scope.DRIVE, streams=["demo"])
    page.goto(f"{protected.server.address}/?stream=demo#token={token}")
    wait_until(page, LIVE)
    assert page.url == f"{protected.server.address}/?stream=demo"
    page.keyboard.press("c")
    page.get_by_role("button", name="Smile").click()
    wait_until(page, "window.telewarp.stats().mesh_seq_shown !== null")
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.3 })")
    page.wait_for_timeout(1500)  # the backdrop samples the frame once a second
    expect(page.locator("#server-error")).to_be_empty()
    assert page.evaluate("violations") == []
    page.reload()
    wait_until(page, LIVE)
    assert token not in protected.server.log


def test_driving_without_the_drive_scope_shows_an_error(
    protected: ProtectedServer, open_page: OpenPage
) -> None:
    page = open_page(f"{protected.server.address}/#token={protected.token(Scope.VIEW)}")
    wait_until(page, LIVE)
    page.keyboard.press("c")
    page.get_by_role("button", name="Smile").click()
    expect(page.locator("#server-error")).to_contain_text("no scope drive")
    assert page.evaluate("window.telewarp.stats().state") == "live"


def test_the_policy_blocks_injected_scripts_and_foreign_requests(
    protected: ProtectedServer, strict_page: Page
) -> None:
    page = strict_page
    page.goto(protected.server.address)
    page.evaluate(
        """() => {
        const script = document.createElement("script");
        script.textContent = "window.injected = true";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='injected = true'>");
        return fetch("https://192.0.2.1/").catch(() => {});
    }"""
    )
    wait_until(page, "violations.length >= 3")
    assert page.evaluate("window.injected") is None


def test_the_api_documentation_loads_from_this_server_only(
    protected: ProtectedServer, strict_page: Page
) -> None:
    page = strict_page
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    page.goto(f"{protected.server.address}/docs")
    expect(page.get_by_role("heading", name="Telewarp")).to_be_visible(timeout=20_000)
    opened = page.locator("#operations-watching-open_session_v1_streams__stream_id__whep_post")
    opened.locator("button").first.click()
    expect(opened).to_contain_text("Telewarp-Ticket")
    assert page.evaluate("violations") == []
    assert {url.split("/")[2] for url in requested if url.startswith("http")} == {
        protected.server.address.removeprefix("http://")
    }
