"""What every test runs under: one thread, no network, W&B offline; and the corpora that tests share."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Before torch is imported: two test processes on two cores, each on one thread.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ["WANDB__SERVICE_WAIT"] = "300"  # seconds for its process to start; 30 are short on a busy machine

import pytest
import torch
from filelock import FileLock

from tests.dask_processes import scheduler_file, start  # noqa: F401  # fixtures

torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parents[1]
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
BuildOnce = Callable[[str, Callable[[Path], object]], Path]
"""See the fixture `build_once`."""


@pytest.fixture(autouse=True, scope="session")
def no_network() -> Any:
    """A test that connects to another machine fails, and says where to."""
    connect = socket.socket.connect

    def connect_locally(self: socket.socket, address: Any) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in LOOPBACK:
            raise OSError(f"tests have no network, but something connects to {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_locally)
        yield


@pytest.fixture(autouse=True)
def wandb_offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test finds it so: a logger of Lightning's that is offline writes another word for it."""
    monkeypatch.setenv("WANDB_MODE", "offline")


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """The test runs with one torch thread, and again with two."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 640 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=640k", "s2v-test", str(folder)], capture_output=True
    )
    if not mounted or mounted.returncode:
        pytest.skip("a small file system can't be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill_disk(folder: Path, left: int) -> None:
    """Leaves `left` bytes, rounded up to whole pages, of the file system that `folder` lies on."""
    rest = shutil.disk_usage(folder).free - left
    with (folder / "filler").open("ab") as filler:
        filler.write(b"x" * (rest - rest % 4096))


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """The folder with real recordings and weights that lies beside a checkout ($S2V_SHARED, ../shared)."""
    path = Path(os.environ.get("S2V_SHARED", REPOSITORY.parent / "shared"))
    if not path.is_dir():
        pytest.skip(f"no {path}: real recordings are not shipped; set S2V_SHARED to where they are")
    return path


@pytest.fixture(scope="session")
def build_once(tmp_path_factory: pytest.TempPathFactory) -> BuildOnce:
    """`build_once(name, build)`: a folder filled by `build(folder)` once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent

    def build(name: str, fill: Callable[[Path], object]) -> Path:
        folder, done = base / name, base / f"{name}.done"
        with FileLock(f"{folder}.lock"):
            if not done.exists():
                fill(folder)
                done.touch()
        return folder

    return build


@pytest.fixture(scope="session")
def crema_d_corpus(build_once: BuildOnce) -> Path:
    """A synthetic corpus in CREMA-D's layout: 3 speakers, 2 sentences, 6 emotions, 64 x 64."""
    from data_modules.synthetic.corpus import write_corpus

    def fill(folder: Path) -> None:
        write_corpus(folder, "crema_d", speakers=3, clips_per_speaker=12, seed=0, size=64)

    return build_once("crema_d_corpus", fill)


@pytest.fixture(scope="session")
def crema_d_cache(crema_d_corpus: Path, build_once: BuildOnce) -> Path:
    """The cache that `s2v prepare` makes of `crema_d_corpus`: 36 clips. Not to be written to."""
    from data_modules.preparation import prepare

    def fill(folder: Path) -> None:
        prepare(crema_d_corpus, "crema_d", folder, size=64, workers=2, progress=False)

    return build_once("crema_d_cache", fill)
