"""`s2v fit` killed at random moments and resumed ends as one that never stopped, to the bit.

Real processes on the debug configs, with all their callbacks: SIGKILL to the whole process group, SIGTERM to the
main process. Shortened, a fit is killed three times; in full (`make test-full`) twenty times.
"""

import contextlib
import csv
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from s2v.cli import main
from tests.conftest import REPOSITORY, BuildOnce
from tests.experiments.combinations import arguments, tiny
from tests.experiments.conftest import options
from tests.full import FULL

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

KILLS, STEPS = (20, 60) if FULL else (3, 14)
BEFORE = ["cpc", "identity_teacher", "emotion_teacher", "distill"]
EVERY_STEP = {
    "class_path": "callbacks.last_checkpoint.LastCheckpoint",
    "init_args": {"dirpath": "${run_dir}", "every_n_train_steps": 1},
}
ON = {
    "no workers": [],
    "two workers": ["--data.init_args.num_workers=2"],
    "two ranks": ["--trainer.devices=2", "--trainer.strategy=ddp_find_unused_parameters_true",
                  "--data.init_args.batch_size=2"],
}  # fmt: skip
SHORT = [("distill", "two workers"), ("compose", "two ranks")]


@pytest.fixture(scope="session")
def stages(build_once: BuildOnce, crema_d_cache: Path) -> Path:
    """A folder with tiny fits of what both stages stand on."""

    def fill(folder: Path) -> None:
        for name in BEFORE:
            assert main(["fit", *arguments(tiny(name)), *options(name, crema_d_cache, folder)]) == 0, name

    return build_once("stages_before", fill)


class Fit:
    """One fit's command, given again and again."""

    def __init__(self, stage: str, cache: Path, stages: Path, folder: Path, more: list[str]) -> None:
        folder.mkdir()
        (folder / "every_step.yaml").write_text(yaml.safe_dump({"trainer": {"callbacks+": [EVERY_STEP]}}))
        self.folder, self.last = folder, folder / "last.ckpt"
        self.command = [
            *(sys.executable, "-m", "s2v", "fit", *arguments(tiny(stage)), *options(stage, cache, stages)),
            *("--config", str(folder / "every_step.yaml"), f"--run_dir={folder}"),
            f"--trainer.max_steps={STEPS}",
            *more,
        ]
        self.start_seconds, self.step_seconds = 2.0, 0.05
        """Time to the first step's save and from one to the next on this machine, as the kills before found it."""

    def start(self) -> "subprocess.Popen[str]":
        resume = [f"--ckpt_path={self.last}"] if self.last.exists() else []
        with (self.folder / "output.txt").open("a") as output:
            return subprocess.Popen(
                [*self.command, *resume], cwd=REPOSITORY, stdout=output, stderr=output, start_new_session=True
            )

    def finish(self) -> dict[str, Any]:
        assert self.start().wait(600) == 0, (self.folder / "output.txt").read_text()[-3000:]
        return torch.load(self.last, weights_only=True)

    def steps_done(self) -> int:
        return torch.load(self.last, weights_only=True)["global_step"] if self.last.exists() else 0

    def kill(self, draw: random.Random, with_signal: signal.Signals) -> None:
        """After none, one or a few steps more, at any point of the next one."""
        before, done, wanted = (
            self._saved_at(),
            self.steps_done(),
            draw.choice([0, 1, 2, 3] if FULL else [1, 2, 3]),
        )
        process, begun = self.start(), time.monotonic()
        steps = 0
        while process.poll() is None and steps < wanted:
            time.sleep(0.005)
            now = self._saved_at()
            if now == before:
                continue
            before = now
            if self.steps_done() > done:  # a fit resumed at an epoch's end saves that step again
                took, begun = time.monotonic() - begun, time.monotonic()
                self.start_seconds, self.step_seconds = (
                    (took, self.step_seconds) if steps == 0 else (self.start_seconds, took)
                )
                steps, done = steps + 1, self.steps_done()
        time.sleep(draw.uniform(0, 2 * self.step_seconds) if wanted else draw.uniform(0, self.start_seconds))
        if with_signal is signal.SIGTERM:
            with contextlib.suppress(ProcessLookupError):  # as `timeout` does: loader workers get it too
                os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(60)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _saved_at(self) -> int:
        with contextlib.suppress(FileNotFoundError):
            return self.last.stat().st_mtime_ns
        return 0

    def metrics(self) -> dict[tuple[int, str], set[str]]:
        """(step, metric) -> the values that all starts have logged for it."""
        found: dict[tuple[int, str], set[str]] = {}
        for path in self.folder.glob("csv/version_*/metrics.csv"):
            with path.open(newline="") as file:
                for row in csv.DictReader(file):
                    for name, value in row.items():
                        if value and name not in ("step", "epoch"):
                            found.setdefault((int(row["step"]), name), set()).add(value)
        return found


@pytest.mark.parametrize(
    ("stage", "on"), [(stage, on) for stage in ("distill", "compose") for on in ON] if FULL else SHORT
)
def test_killed_and_resumed(stage: str, on: str, crema_d_cache: Path, stages: Path, tmp_path: Path) -> None:
    fits = [Fit(stage, crema_d_cache, stages, tmp_path / name, ON[on]) for name in ("whole", "killed")]
    whole = fits[0].finish()
    draw = random.Random(f"{stage} {on}")
    kills, reached = 0, []
    while kills < KILLS and fits[1].steps_done() < STEPS:
        fits[1].kill(draw, draw.choice([signal.SIGKILL, signal.SIGTERM]))
        kills += 1
        reached.append(fits[1].steps_done())
        assert reached == sorted(reached), "a kill lost what was saved"
    assert len(set(reached)) >= KILLS / 2, f"the kills came at steps {reached}"
    killed = fits[1].finish()

    assert whole["global_step"] == killed["global_step"] == STEPS
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(killed[part], whole[part], rtol=0, atol=0)
    raw = [{k: v["raw"] for k, v in ckpt["callbacks"].items() if "raw" in v} for ckpt in (killed, whole)]
    assert bool(raw[1]) == (stage == "compose")
    torch.testing.assert_close(raw[0], raw[1], rtol=0, atol=0)
    expected = fits[0].metrics()
    found = fits[1].metrics()
    assert {step for step, _ in expected} >= set(range(STEPS))
    assert {name for _, name in expected} >= {"val/loss" if stage == "distill" else "val/ssim"}
    different = {
        key: (expected.get(key), found.get(key))
        for key in expected | found
        if expected.get(key) != found.get(key)
    }
    assert not different
    assert not [path for path in fits[1].folder.rglob("*") if path.name.startswith(".")]


def test_sigterm_to_all_processes_costs_no_finished_step(
    crema_d_cache: Path, stages: Path, tmp_path: Path
) -> None:
    """As `timeout` and clusters send it; saved is what the step in which it came has made."""
    whole = Fit("compose", crema_d_cache, stages, tmp_path / "whole", ON["two workers"])
    (whole.folder / "every_step.yaml").write_text("{}")  # the stage's own, every 1,000
    expected = whole.finish()
    for number in range(5):
        fit = Fit("compose", crema_d_cache, stages, tmp_path / f"stopped {number}", ON["two workers"])
        (fit.folder / "every_step.yaml").write_text("{}")
        process = fit.start()
        while not any(step for step, name in fit.metrics() if name.startswith("train/")):
            assert process.poll() is None
            time.sleep(0.01)
        logged = max(step for step, name in fit.metrics() if name.startswith("train/"))
        os.killpg(process.pid, signal.SIGTERM)
        assert process.wait(60) == 143
        assert "Traceback" not in (fit.folder / "output.txt").read_text()
        if fit.steps_done() > logged:
            break  # otherwise it came in an epoch's last batch, or in the validation: see LastCheckpoint
    assert fit.steps_done() > logged
    found = fit.finish()
    for part in ("state_dict", "optimizer_states", "lr_schedulers"):
        torch.testing.assert_close(found[part], expected[part], rtol=0, atol=0)
    assert fit.metrics() == whole.metrics()
