"""`s2v prepare --dask` on a real scheduler and real worker processes on loopback, one of them killed half-way."""

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from data_modules.dask_cluster import dask_cluster
from data_modules.preparation import prepare
from s2v.errors import InputError
from tests.conftest import REPOSITORY
from tests.dask_processes import Processes, start_worker, wait_for_workers, wait_until
from tests.data_modules.media import write_speakers
from tests.data_modules.test_preparation_interrupted import content, finished_clips

CLIPS = 24


def children_of(process: "subprocess.Popen[str]") -> str:
    return Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_a_killed_worker_costs_no_clip(start: Processes, scheduler_file: Path, tmp_path: Path) -> None:
    """The manifest and every clip are those of a run without Dask, and the other worker is left as it was."""
    root, local, cache = tmp_path / "corpus", tmp_path / "local", tmp_path / "cache"
    write_speakers(root, CLIPS)
    assert prepare(root, "folder", local, size=16, workers=2, progress=False).ok == CLIPS
    victim, other = start_worker(start, scheduler_file), start_worker(start, scheduler_file)
    wait_for_workers(scheduler_file, tmp_path, 2)
    command = start("s2v", "prepare", "--root", str(root), "--layout", "folder", "--cache", str(cache), "--size", "16",
                    "--no-progress", "--dask", str(scheduler_file))  # fmt: skip
    journals = cache / "records"
    wait_until(lambda: len(list(journals.glob("*.jsonl"))) == 2 and len(finished_clips(cache)) >= 4)
    victim.send_signal(signal.SIGKILL)
    before = finished_clips(cache)
    assert len(before) < CLIPS, "the kill came too late to show anything"
    output, errors = command.communicate(timeout=120)
    # Where the victim died with a finished batch not yet fetched, distributed says that it does the batch again.
    unexpected = [line for line in errors.splitlines() if "WARNING - Couldn't gather" not in line]
    assert (command.returncode, unexpected) == (0, [])
    assert output.startswith(f"{CLIPS} clips found, {CLIPS} ok, 0 refused; manifest: ")
    assert content(cache) == content(local)
    assert len(content(cache)) == CLIPS + 1
    assert not list(cache.glob("clips/**/.*")), "a partial file was left"
    lines = Counter(line for file in journals.glob("*.jsonl") for line in file.read_text().splitlines())
    assert sum(lines.values()) <= CLIPS + 4, "more was done again than what the killed worker had in hand"
    assert children_of(other) == "", "a decoder was left behind in the worker"


def test_no_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr("data_modules.dask_cluster.SECONDS_TO_ANSWER", 0.5)
    with (
        pytest.raises(InputError, match=r"no Dask scheduler answered at 'tcp://127.0.0.1:9' within 0.5 s"),
        dask_cluster("tcp://127.0.0.1:9", []),
    ):
        pass
    (tmp_path / "scheduler.json").write_text("{}")
    with (
        pytest.raises(InputError, match="no Dask scheduler answered"),
        dask_cluster(str(tmp_path / "scheduler.json"), []),
    ):
        pass


@pytest.mark.slow
def test_no_worker_and_a_folder_that_workers_do_not_see_are_one_line(
    start: Processes, scheduler_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("data_modules.dask_cluster.SECONDS_TO_ANSWER", 5.0)
        with pytest.raises(InputError, match="has no workers"), dask_cluster(str(scheduler_file), []):
            pass
    start_worker(start, scheduler_file)
    gone = tmp_path / "gone"
    with pytest.raises(InputError, match=f"does not see the folder {gone}"):
        dask_cluster(str(scheduler_file), [tmp_path, gone]).__enter__()


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match="pip install distributed"), dask_cluster("tcp://127.0.0.1:9", []):
        pass


def test_nothing_of_dask_is_imported_unasked() -> None:
    code = "import sys, data_modules.preparation; print('distributed' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    assert done.stdout == "False\n"
