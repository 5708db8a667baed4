"""The viewer of a server that asks for tokens, and what its Content-Security-Policy lets it do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import Page, expect

from server.auth.grants import Scope
from server.auth.tokens import Tokens, read_tokens
from tests.browser.conftest import Server
from tests.warm_python import WarmPython

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage


pytestmark = pytest.mark.browser

LIVE = "window.telewarp?.stats().state === 'live'"
_PATIENCE_S = 30.0
COUNT_VIOLATIONS = """
window.violations = [];
addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI }) =>
  violations.push(`${violatedDirective} ${blockedURI}`));
"""


class Guarded(NamedTuple):
    """A server, and what it takes to get in."""

    server: Server
    tokens: Tokens

    def token(self, *scopes: Scope, streams: list[str] | None = None) -> str:
        return self.tokens.sign(scopes, streams, 5)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, warm_python: WarmPython) -> Iterator[Guarded]:
    """A server that serves only those who have a token."""
    folder: Path = tmp_path_factory.mktemp("guarded")
    file = folder / "tokens.toml"
    file.write_text('signing_keys = ["a key of thirty-two bytes or more"]')
    options = ("--tokens", str(file), "--log-level", "debug", "--max-sessions", "8")
    server = Server(warm_python, folder / "log.txt", *options)
    try:
        server.start()
        yield Guarded(server, read_tokens(file))
    finally:
        server.stop()


@pytest.fixture
def strict_page(open_page: OpenPage) -> Page:
    """An empty page that keeps to the policy of what it loads, and counts what that forbids."""
    page: Page = open_page("about:blank", bypass_csp=False)
    page.add_init_script(COUNT_VIOLATIONS)
    return page


def wait_until(page: Page, condition: str) -> None:
    """Like `wait_for_function`, which the policy forbids."""
    deadline = time.monotonic() + _PATIENCE_S
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, f"not within {_PATIENCE_S:g} s: {condition}"
        page.wait_for_timeout(100)


def test_a_page_without_a_token_shows_the_sign_in_and_uses_what_is_entered(
    guarded: Guarded, strict_page: Page
) -> None:
    page = strict_page
    page.goto(guarded.server.address)
    expect(page.locator("#notice")).to_contain_text("Sign in to watch", timeout=15_000)
    field = page.get_by_label("Token", exact=True)
    expect(field).to_be_focused()
    page.keyboard.type("chrf wrong token")  # letters that are keys of the page
    expect(field).to_have_value("chrf wrong token")
    assert page.evaluate("!document.body.className.includes('controls-open')")
    page.keyboard.press("Enter")
    expect(field).to_have_value("")
    expect(page.locator("#notice")).to_contain_text("This token is not accepted")
    field.fill(guarded.token(Scope.VIEW, streams=["elsewhere"]))
    page.get_by_role("button", name="Watch").click()
    expect(page.locator("#notice")).to_contain_text("Expected a token for stream 'demo'")
    field.fill(guarded.token(Scope.VIEW))
    page.get_by_role("button", name="Watch").click()
    wait_until(page, LIVE)
    expect(field).to_be_hidden()
    assert page.evaluate("violations") == []


def test_a_link_with_a_token_opens_at_once_and_no_longer_shows_it(
    guarded: Guarded, strict_page: Page
) -> None:
    page = strict_page
    token = guarded.token(Scope.VIEW, Scope.DRIVE, streams=["demo"])
    page.goto(f"{guarded.server.address}/?stream=demo#token={token}")
    wait_until(page, LIVE)
    assert page.url == f"{guarded.server.address}/?stream=demo"
    page.keyboard.press("c")
    page.get_by_role("button", name="Smile").click()
    wait_until(page, "window.telewarp.stats().mesh_seq_shown !== null")
    page.evaluate("window.telewarp.setView({ yaw_rad: 0.3 })")
    page.wait_for_timeout(1500)  # until the backdrop has read the image, once a second
    expect(page.locator("#server-error")).to_be_empty()
    assert page.evaluate("violations") == []
    page.reload()
    wait_until(page, LIVE)
    assert token not in guarded.server.log


def test_a_viewer_without_drive_scope_is_told_when_driving(
    guarded: Guarded, open_page: OpenPage
) -> None:
    page = open_page(f"{guarded.server.address}/#token={guarded.token(Scope.VIEW)}")
    wait_until(page, LIVE)
    page.keyboard.press("c")
    page.get_by_role("button", name="Smile").click()
    expect(page.locator("#server-error")).to_contain_text("no scope drive")
    assert page.evaluate("window.telewarp.stats().state") == "live"


def test_the_policy_keeps_out_what_is_slipped_into_the_page(
    guarded: Guarded, strict_page: Page
) -> None:
    page = strict_page
    page.goto(guarded.server.address)
    page.evaluate(
        """() => {
        const script = document.createElement("script");
        script.textContent = "window.slippedIn = true";
        document.body.append(script);
        document.body.insertAdjacentHTML("beforeend", "<img src=x onerror='slippedIn = true'>");
        return fetch("https://192.0.2.1/").catch(() => {});
    }"""
    )
    wait_until(page, "violations.length >= 3")
    assert page.evaluate("window.slippedIn") is None


def test_the_description_of_the_api_comes_from_this_server_alone(
    guarded: Guarded, strict_page: Page
) -> None:
    page = strict_page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{guarded.server.address}/docs")
    expect(page.get_by_role("heading", name="Telewarp")).to_be_visible(timeout=20_000)
    opened = page.locator("#operations-watching-open_session_v1_streams__stream_id__whep_post")
    opened.locator("button").first.click()
    expect(opened).to_contain_text("Telewarp-Ticket")
    assert page.evaluate("violations") == []
    assert {url.split("/")[2] for url in asked if url.startswith("http")} == {
        guarded.server.address.removeprefix("http://")
    }
