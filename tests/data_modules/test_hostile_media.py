"""Damaged and odd files from strangers: each read right or refused with its reason, and nothing else is touched."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import av
import numpy as np
import pytest

from data_modules.clip_cache import read_clip
from data_modules.clip_manifest import ManifestRow, read_manifest
from data_modules.decode import frames_on_screen
from tests.conftest import REPOSITORY
from tests.data_modules.hostile_media import NAMES, PLAYLISTS, REFUSED, write_hostile
from tests.data_modules.media import tone, write_clip
from tests.full import FULL

COUNT = 200 if FULL else 40
TIME_LIMIT = 20.0


@pytest.fixture(scope="module")
def requests_seen() -> Iterator[tuple[str, list[str]]]:
    """A web server's address and what it is asked for."""
    seen: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()


@pytest.fixture(scope="module")
def corpus(
    requests_seen: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, int | None]]:
    folder = tmp_path_factory.mktemp("hostile")
    secret = write_clip(folder / "secret" / "secret.mp4", 1.2, sound=tone(1.2))
    return folder / "corpus", write_hostile(folder / "corpus", COUNT, secret, requests_seen[0])


@pytest.fixture(scope="module")
def prepared(
    corpus: tuple[Path, dict[str, int | None]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, ManifestRow], float]:
    """The cache, its rows and how long `s2v prepare` took, run where commands in names would leave their traces."""
    cache = tmp_path_factory.mktemp("hostile_cache")
    command = [sys.executable, "-m", "s2v", "prepare", "--root", str(corpus[0]), "--layout", "folder"]
    begun = time.monotonic()
    run = subprocess.run(
        [*command, "--cache", str(cache), "--size", "32", "--time-limit", str(TIME_LIMIT), "--no-progress"],
        cwd=cache,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith(f"{COUNT} clips found") and len(run.stdout.splitlines()) == 1
    rows = {row.clip_id: row for row in read_manifest(cache / "manifest.csv")}
    return cache, rows, time.monotonic() - begun


def test_each_is_read_right_or_refused_with_its_reason(
    corpus: tuple[Path, dict[str, int | None]], prepared: tuple[Path, dict[str, ManifestRow], float]
) -> None:
    root, expected = corpus
    cache, rows, seconds = prepared
    assert rows.keys() == expected.keys()
    wrong = {
        name: (row.frames, row.reason)
        for name, row in rows.items()
        if expected[name] is not None and row.frames != expected[name]
    }
    assert not wrong
    damaged = {name for name in rows if name.startswith("damaged/")}
    refused = {name for name in damaged if not rows[name].ok}
    assert 0.3 < len(refused) / len(damaged) < 1
    for row in rows.values():
        if row.ok:
            assert row.reason == ""
            frames, speech = read_clip(cache / row.cache_file)
            assert len(speech) == 640 * len(frames)
            _compare_with_pyav(root / row.source, frames)
        else:
            assert 5 < len(row.reason) < 400 and "\n" not in row.reason
            assert "Traceback" not in row.reason
    assert not [row.reason for row in rows.values() if "no answer" in row.reason]
    assert seconds < COUNT * TIME_LIMIT / 10


def _compare_with_pyav(path: Path, cached: np.ndarray) -> None:
    """Mean colours of the frames as PyAV, read plainly, has them at the same instants."""
    with av.open(str(path), metadata_errors="replace") as container:
        pictures = [(frame.time, frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]
    times = np.array([seconds for seconds, _ in pictures])
    shown = frames_on_screen(times, 0.0, 25, len(cached) + 3)
    means = np.array([picture.mean((0, 1)) for _, picture in pictures])[shown]
    ours = cached.mean((2, 3))
    # the sound's start, where it is later, moves the first frame
    differences = [np.abs(ours - means[late : late + len(ours)]).max() for late in range(3)]
    assert min(differences) < 8, f"{path.name}: frames differ from PyAV's by {min(differences):.1f}"


def test_nothing_else_was_opened_or_run(
    corpus: tuple[Path, dict[str, int | None]],
    prepared: tuple[Path, dict[str, ManifestRow], float],
    requests_seen: tuple[str, list[str]],
) -> None:
    assert requests_seen[1] == []
    assert not list(prepared[0].rglob("hacked")) and not list(corpus[0].rglob("hacked"))
    rows = prepared[1]
    lists = [row for name, row in rows.items() if name.startswith("lists/")]
    assert len(lists) == min(len(PLAYLISTS), len(lists)) > 5
    assert all("cannot be opened" in row.reason or "zero" in row.reason for row in lists)


@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace to see which files are opened")
def test_playlists_lead_to_no_other_file(corpus: tuple[Path, dict[str, int | None]], tmp_path: Path) -> None:
    """Each as a clip, as a recording and as a video to examine: the system calls say what was opened."""
    root = corpus[0] / "lists"
    code = (
        "import sys; from pathlib import Path\n"
        "from data_modules.clip_refused import ClipRefused; from data_modules.decode import probe_video\n"
        "from s2v.errors import InputError; from s2v.generation.detect import examine\n"
        "from s2v.generation.speech_file import SpeechFile\n"
        "for path in sorted(Path(sys.argv[1]).iterdir()):\n"
        "    for read in (probe_video, examine, SpeechFile):\n"
        "        try: read(path)\n"
        "        except (ClipRefused, InputError): print('refused')\n"
    )
    trace = tmp_path / "trace"
    strace = ["strace", "-f", "-e", "trace=open,openat,connect", "-o", str(trace)]
    run = subprocess.run(
        [*strace, sys.executable, "-c", code, str(root)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
    )
    if "ptrace" in run.stderr:
        pytest.skip(f"strace may not trace here: {run.stderr.strip()}")
    assert run.stdout.count("refused") == 3 * len(list(root.iterdir())), run.stderr
    calls = trace.read_text(errors="replace")
    assert "/lists/" in calls  # the trace sees what is opened
    assert "/secret/" not in calls
    assert "AF_INET" not in calls


@pytest.mark.slow
def test_detect_and_export_tell_of_each_and_go_on(
    corpus: tuple[Path, dict[str, int | None]], tmp_path: Path
) -> None:
    paths = [path for path in sorted(corpus[0].rglob("*")) if path.is_file()]
    code = "import sys; from s2v.cli import main; sys.exit(main(['detect', '--json', *sys.argv[1:]]))"
    begun = time.monotonic()
    run = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert run.returncode == 2, run.stderr[-500:]
    errors = [line for line in run.stderr.splitlines() if line.startswith("s2v: error: ")]
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) + len(errors) >= len(paths)
    assert "Traceback" not in run.stderr
    assert not any(finding["marked"] for finding in found)
    heard = (
        "import sys\nfrom av.error import FFmpegError\nfrom s2v.errors import InputError\n"
        "from s2v.generation.speech_file import read_speech\n"
        "for path in sys.argv[1:]:\n"
        "    try: speech = read_speech(path)\n"
        "    except (InputError, OSError, FFmpegError) as error: print('refused', repr(str(error)))\n"
        "    else: print('heard', len(speech), float(speech.abs().max()) <= 1)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", heard, *map(str, paths)], cwd=REPOSITORY, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr[-500:]
    answers = run.stdout.splitlines()
    assert len(answers) == len(paths) and not [answer for answer in answers if answer.endswith("False")]
    assert sum(answer.startswith("heard") for answer in answers) > 20 * COUNT / 200
    assert time.monotonic() - begun < COUNT


def test_names_of_all_kinds_are_in_the_corpus(corpus: tuple[Path, dict[str, int | None]]) -> None:
    named = [name for name in corpus[1] if name.startswith("named/")]
    assert len(named) == min(len(NAMES), len(named)) >= 10
    assert REFUSED in corpus[1].values() and None in corpus[1].values()
