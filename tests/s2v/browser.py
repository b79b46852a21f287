"""A real browser for pages that people open: Chromium, driven by Playwright (extra `browser`)."""

import functools
import shutil
from collections.abc import Callable, Iterator
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


def thrice(test: Callable[..., None]) -> Callable[..., None]:
    """Begin anew, with another browser, where Chromium lets a wait run out: its players stall on a busy machine."""

    @functools.wraps(test)
    def trying(*args: Any, **kwargs: Any) -> None:
        for attempt in range(3):
            try:
                return test(*args, **kwargs)
            except Exception as error:  # Playwright may not be installed, so its class has no name here
                if type(error).__name__ != "TimeoutError" or attempt == 2:
                    raise
        return None

    return trying
