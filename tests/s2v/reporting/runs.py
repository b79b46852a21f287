"""Run folders as `s2v fit` and `s2v test` leave them, small."""

import json
from pathlib import Path
from typing import Any

import torch
import yaml

from s2v.generation.mp4_writer import write_mp4

EVIL = "\"'><img src=x onerror=alert(1)><"
SECONDS = 2


def write_run(folder: Path, scale: float, clips: list[str] | None = None) -> Path:
    """A run whose losses are `scale` / (step + 1), whose SSIM is `scale` and whose videos are one grey."""
    version = folder / "csv" / "version_0"
    version.mkdir(parents=True)
    rows = [f"{step},0,{scale / (step + 1)},,{EVIL!r}" for step in range(0, 200, 10)] + [f"199,1,,{scale},"]
    (version / "metrics.csv").write_text("\n".join(["step,epoch,train/loss,val/ssim,note", *rows, ""]))
    config = {
        "seed_everything": 0,
        "model": {"init_args": {"lr": scale, "words": EVIL}},
        "trainer": {"callbacks": [{"class_path": "callbacks.a.TestReport", "init_args": {"system": "x"}}]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "report").mkdir()
    (folder / "report" / "report.json").write_text(json.dumps(report(scale)))
    for number, clip in enumerate(clips or ["hello"]):
        frames = torch.full((25 * SECONDS, 3, 32, 32), 40 * number + 60, dtype=torch.uint8)
        speech = 0.1 * torch.sin(torch.arange(16_000 * SECONDS) / 8)
        write_mp4(folder / "videos" / f"{clip}.mp4", [frames], [speech], threads=1)
    return folder


def report(ssim: float, clips_sha256: str = "ab" * 32) -> dict[str, Any]:
    """What report.json holds, of one system and one calibration."""

    def estimate(mean: float) -> dict[str, float]:
        return {"mean": mean, "low": mean - 0.1, "high": mean + 0.1, "n": 3}

    coverage = {"scored": 3, "total": 3}
    return {
        "systems": {
            "ground_truth": {"ssim": estimate(1.0), **coverage},
            "speech2video": {"ssim": estimate(ssim), "psnr": {"mean": None}, **coverage},
        },
        "meta": {"dataset": "TalkingFace", "clip_list_sha256": clips_sha256},
        "clips": [],
    }
