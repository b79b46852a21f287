"""The report's page in a real browser, where there is one: on a phone and a desk, by day and by night."""

import functools
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from PIL import Image

from s2v.evaluation.contact_sheet import contact_sheet_png, strip_of
from s2v.evaluation.html_page import page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="no Chromium on this machine (Debian: apt-get install chromium)"
)


def written(folder: Path, note: str = "data: here") -> Path:
    metrics = ["ssim", "psnr", "sync_confidence", "ssim_mouth_128x96"]
    systems = ["speech2video", "ground_truth (calibration)", "ground_truth_swapped (calibration)"]
    frames = torch.full((8, 3, 32, 32), 128, dtype=torch.uint8)
    sheet = contact_sheet_png([strip_of("ann anger", {"real": frames, "generated": frames}, 25)])
    text = page(
        ["metric", "better", *systems],
        [[metric, "higher", *["81.023 [52.557, 100.000]"] * len(systems)] for metric in metrics],
        [note],
        [("a" * 60, "speech2video", "no sound")],
        {"ssim": "how alike"},
        "Mean over clips.",
        sheet,
        first=metrics[:3],
    )
    path = folder / "report.html"
    path.write_text(text, encoding="utf-8")
    return path


def run_browser(path: Path, *options: str) -> str:
    assert BROWSER is not None
    command = [BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", *options]
    done = subprocess.run([*command, path.as_uri()], capture_output=True, text=True, timeout=120, check=True)
    return done.stdout


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize(("scheme", "dark"), [(0, True), (1, False)])
def test_readable_by_day_and_night(width: int, scheme: int, dark: bool, tmp_path: Path) -> None:
    shot = tmp_path / "shot.png"
    run_browser(
        written(tmp_path),
        f"--blink-settings=preferredColorScheme={scheme}",
        f"--window-size={width},1200",
        f"--screenshot={shot}",
    )
    with Image.open(shot) as picture:
        grey = picture.convert("L")
        assert picture.size == (width, 1200)
        paper = grey.getpixel((3, 3))
        assert isinstance(paper, int | float)
        assert paper < 40 if dark else paper > 240
        low, high = grey.crop((0, 0, width, 120)).getextrema()  # the heading
        assert isinstance(low, int | float) and isinstance(high, int | float) and high - low > 150
        # the page itself is no wider than the window: its right margin is paper all the way down
        margin = grey.crop((width - 8, 0, width, 1200)).getextrema()
        assert margin == (paper, paper)


@pytest.fixture
def asked() -> Iterator[tuple[int, list[str]]]:
    """A server on this machine: its port, and what it was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=functools.partial(server.serve_forever, 0.05))
        thread.start()
        yield server.server_address[1], paths
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("with_policy", [True, False])
def test_even_markup_that_slipped_in_can_not_ask_for_anything(
    with_policy: bool, asked: tuple[int, list[str]], tmp_path: Path
) -> None:
    port, paths = asked
    path = written(tmp_path)
    text = path.read_text(encoding="utf-8").replace(
        "</body>", f'<img src="http://127.0.0.1:{port}/picture.png"></body>'
    )
    if not with_policy:  # the page would ask, so that the test can fail
        text = text.replace("Content-Security-Policy", "x")
    path.write_text(text, encoding="utf-8")
    run_browser(path, "--dump-dom")
    assert paths == ([] if with_policy else ["/picture.png"])
