"""A viewer whose token expires is asked for a new one, and reconnects with it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from server.auth.grants import Scope
from tests.browser.test_access import LIVE, ProtectedServer, protected, wait_until

if TYPE_CHECKING:
    from tests.browser.conftest import OpenPage

__all__ = ["protected"]

pytestmark = pytest.mark.browser

RECORD_NOTICES = """
window.notices = [];
addEventListener("DOMContentLoaded", () => {
  const notice = document.querySelector("#notice");
  new MutationObserver(() => window.notices.push(notice.innerText))
    .observe(notice, { childList: true, subtree: true, characterData: true });
});
"""
VALID_S = 8.0
"""Long enough to connect on a busy machine."""


def test_the_page_asks_for_a_new_token_when_its_token_expires(
    protected: ProtectedServer, open_page: OpenPage
) -> None:
    page = open_page("about:blank")
    page.add_init_script(RECORD_NOTICES)
    expires_at = time.time() + VALID_S
    token = protected.tokens.sign_claims([Scope.VIEW], None, exp=expires_at)
    page.goto(f"{protected.server.address}/#token={token}")
    wait_until(page, LIVE)
    page.evaluate("window.notices = []")
    field = page.get_by_label("Token", exact=True)
    expect(field).to_be_visible(timeout=(VALID_S + 5) * 1000)
    assert time.time() > expires_at
    notice = page.locator("#notice")
    expect(notice).to_contain_text("This token is not accepted")
    expect(notice).to_contain_text("The token has expired; ask for a new one.")
    # The page does not report a network failure before the reason is known.
    notices = " ".join(page.evaluate("window.notices"))
    assert "stopped" not in notices
    assert "lost" not in notices
    field.fill(protected.token(Scope.VIEW))
    page.get_by_role("button", name="Watch").click()
    wait_until(page, LIVE)
    expect(field).to_be_hidden()
