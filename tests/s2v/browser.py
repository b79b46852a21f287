"""A real browser for pages that people open: Chromium, driven by Playwright (extra `browser`)."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")


@contextmanager
def chromium() -> Iterator[Any]:
    """The machine's Chromium, else Playwright's own; a machine with neither skips the test."""
    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright (extra `browser`)")
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    with playwright.sync_playwright() as driver:
        try:
            browser = driver.chromium.launch(
                executable_path=installed, args=["--autoplay-policy=no-user-gesture-required"]
            )
        except playwright.Error as error:
            pytest.skip(f"no Chromium that Playwright can start ({str(error).splitlines()[0]})")
        try:
            yield browser
        finally:
            browser.close()
