"""Whose decoder complained, where several threads decode at a time as a Dask worker's may."""

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from data_modules.clip_refused import ClipRefused
from data_modules.decode import decode_frames, probe_video
from data_modules.decoder_complaints import complaints
from tests.data_modules.media import write_media

DAMAGE = b"[h264 @ 0x1] error while decoding MB 1 1, bytestream 7\n"


def stderr_file() -> "tuple[int, int]":
    status = os.fstat(2)
    return status.st_dev, status.st_ino


def test_each_thread_hears_its_own_decoder() -> None:
    before = stderr_file()
    entered, other_began = threading.Event(), threading.Event()
    heard: dict[str, str] = {}

    def damaged() -> None:
        with complaints() as mine:
            entered.set()
            other_began.wait(0.3)  # in vain, unless two may listen at a time
            os.write(2, DAMAGE)
        heard["damaged"] = mine.damage

    def clean() -> None:
        entered.wait()
        with complaints() as mine:
            other_began.set()
            damaged_thread.join(0.3)
        heard["clean"] = mine.damage

    damaged_thread, clean_thread = threading.Thread(target=damaged), threading.Thread(target=clean)
    clean_thread.start()
    damaged_thread.start()
    clean_thread.join()
    damaged_thread.join()
    assert heard == {"damaged": "error while decoding MB 1 1, bytestream 7", "clean": ""}
    assert stderr_file() == before


@pytest.mark.parametrize("place", [0.02, 0.5])
def test_two_threads_decode_a_damaged_and_a_clean_video(tmp_path: Path, place: float) -> None:
    """At a place of 0.02 of the file lies the first frame, which is decoded as the video is opened."""
    noise = list(np.random.default_rng(0).integers(0, 256, (40, 96, 128, 3), np.uint8))
    clean, damaged = write_media(tmp_path / "clean.mp4", noise), write_media(tmp_path / "damaged.mp4", noise)
    data = bytearray(damaged.read_bytes())
    first = int(len(data) * place)
    data[first : first + 400] = np.random.default_rng(1).bytes(400)
    damaged.write_bytes(bytes(data))
    before, taken = stderr_file(), dict.fromkeys(("clean", "damaged"), 0)
    together = threading.Barrier(2)

    def decode(path: Path) -> None:
        for _ in range(8):
            together.wait()
            try:
                list(decode_frames(probe_video(path), np.arange(40)))
            except ClipRefused:
                continue
            taken[path.stem] += 1

    threads = [threading.Thread(target=decode, args=(path,)) for path in (clean, damaged)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert taken == {"clean": 8, "damaged": 0}
    assert stderr_file() == before
