"""The browser of benchmarks and tests: Debian's Chromium, not one that Playwright downloads."""

from __future__ import annotations

import shutil

CHROMIUM_FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def find_chromium() -> str:
    """Return the path of Chromium, or end the program if there is none."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit(
            "expected chromium on the path, got none; on Debian and Ubuntu: apt install chromium"
        )
    return chromium
