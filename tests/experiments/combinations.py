"""Which config files go together: every file below experiments/ is in one of these, in the order they are given.

A sweep's file, or a table's, is no config and has a test of its own; `tiny` combinations are run by test_families.py.
"""

from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
EXPERIMENTS = REPOSITORY / "experiments"

FITS = {
    "cpc": ["pretrain/cpc"],
    "identity_teacher": ["pretrain/identity_teacher"],
    "emotion_teacher": ["pretrain/emotion_teacher"],
    "identity_judge": ["pretrain/identity_judge"],
    "emotion_judge": ["pretrain/emotion_judge"],
    "syncnet": ["pretrain/syncnet"],
    "distill": ["distill/distill", "base/representation"],
    "compose": ["compose/compose", "base/representation"],
    "sdfa": ["baselines/sdfa"],
    "voice_encoder": ["baselines/voice_encoder"],
    "s2f_sdfa": ["baselines/sdfa", "baselines/s2f_sdfa"],
}
"""Stage -> its files, the one that names the model's class first."""

OWN = {
    "distill": ["base/own_teachers", "distill/own_teachers"],
    "compose": ["base/own_teachers", "compose/own_teachers"],
    "voice_encoder": ["baselines/own_voice", "baselines/own_teacher"],
    "s2f_sdfa": ["baselines/own_voice"],
}
"""What turns a stage from published to own teachers."""

TINY = {
    "cpc": ["debug/cpc"],
    "identity_teacher": ["debug/vggface_teacher"],
    "emotion_teacher": ["debug/senet_teacher"],
    "identity_judge": ["debug/senet_teacher"],
    "emotion_judge": ["debug/vggface_teacher"],
    "syncnet": ["debug/syncnet"],
    "distill": ["debug/representation"],
    "compose": ["debug/representation", "debug/compose"],
    "sdfa": ["debug/sdfa"],
    "voice_encoder": ["debug/voice"],
    "s2f_sdfa": ["debug/sdfa", "debug/voice"],
}
"""Stage -> its narrow networks."""

DEMO = {
    "demo cpc": ["demo/cpc"],
    "demo identity_teacher": ["demo/identity_teacher"],
    "demo emotion_teacher": ["demo/emotion_teacher"],
    "demo identity_judge": ["demo/identity_judge"],
    "demo emotion_judge": ["demo/emotion_judge"],
    "demo syncnet": ["demo/syncnet"],
    "demo distill": ["demo/distill", "demo/representation"],
    "demo compose": ["demo/compose", "demo/representation"],
    "demo test": ["demo/compose", "demo/representation", "demo/report"],
}

REAL = {
    "real cpc": ["demo/cpc", "real_faces/cpc", "real_faces/unfinished"],
    "real identity_teacher": [
        "demo/identity_teacher",
        "real_faces/identity_teacher",
        "real_faces/unfinished",
    ],
    "real syncnet": ["demo/syncnet", "real_faces/syncnet", "real_faces/unfinished"],
    "real distill": [
        "demo/distill",
        "real_faces/distill",
        "demo/representation",
        "real_faces/representation",
        "base/speaker_encoder",
        "real_faces/unfinished",
    ],
    "real compose": [
        "demo/compose",
        "real_faces/compose",
        "demo/representation",
        "real_faces/representation",
        "base/speaker_encoder",
        "real_faces/unfinished",
    ],
}
REAL |= {
    "real sdfa": ["baselines/sdfa", "real_faces/sdfa"],
    "real voice_encoder": ["baselines/voice_encoder", "real_faces/voice_encoder"],
    "real s2f_sdfa": ["baselines/sdfa", "real_faces/sdfa", "baselines/s2f_sdfa", "real_faces/s2f_sdfa"],
    "real test": [*REAL["real compose"], "test/keep_clips", "real_faces/judges"],
}
ON_GPU = {
    "identity_teacher": [],
    "compose": ["real_faces/compose_gpu"],
    "sdfa": ["real_faces/sdfa_gpu"],
    "s2f_sdfa": ["real_faces/sdfa_gpu", "real_faces/s2f_sdfa_gpu"],
}
REAL |= {
    f"real {name} on a GPU": [*REAL[f"real {name}"], "real_faces/gpu", *files]
    for name, files in ON_GPU.items()
}
REAL |= {
    f"real {name} unseen": [*REAL[f"real {name}"], "real_faces/unseen", *files]
    for name, files in {
        "syncnet": [],
        "distill": [],
        "voice_encoder": [],
        "sdfa": ["real_faces/sdfa_unseen"],
        "s2f_sdfa": ["real_faces/sdfa_unseen"],
    }.items()
}

ABLATIONS = {
    "context_exchange": "compose",
    "emotion_embedding": "distill",
    "eq3_as_printed": "distill",
    "eq3_temperature_2": "distill",
    "finetune_cpc": "distill",
    "frame_augmentation": "compose",
    "frames_per_clip_1": "distill",
    "full_generator": "compose",
    "hinge": "compose",
    "perceptual": "compose",
    "pose_code": "compose",
    "similarity_sum": "compose",
    "without_feature_matching": "compose, features",
    "without_frame_adversary": "compose",
    "without_gradient": "compose",
    "without_identity_adversary": "compose",
    "without_similarity": "compose",
    "without_sync_adversary": "compose",
    "region_lower": "compose, lower",
    "region_upper": "compose, upper",
    "paper": "compose, paper_losses",
    "paper_losses": "compose, paper_losses",
    "learning_rate_decay": "sdfa",
}
"""Ablation -> those it is parsed with at once, since parsing takes a second: none touches what another changes."""


TABLES = [
    "crema_d",
    "crema_d_unseen",
    "voxceleb2",
    "synthetic",
    "real_faces",
    "real_faces_unseen",
    "real_faces_small",
    "real_faces_small_unseen",
    "real_faces_gpu",
]
"""What `s2v table1` takes; tried by test_table1.py."""


def stage(name: str, data: str = "crema_d", own: bool = False) -> list[str]:
    """The files of a full-size fit."""
    return ["base/trainer", f"data/{data}", *FITS[name], *(OWN.get(name, []) if own else [])]


def tiny(name: str, data: str = "crema_d") -> list[str]:
    """The files of the same fit in a minute on a CPU."""
    return [*stage(name, data, own=True), "debug/tiny", *TINY[name]]


COMBINATIONS = (
    {name: stage(name) for name in FITS}
    | {f"{name}, own teachers": stage(name, own=True) for name in OWN}
    | {f"{name}, tiny": tiny(name) for name in ("sdfa", *OWN)}
    | {
        f"{name}, {file}": [*stage(name), f"base/{file}"]
        for name in ("distill", "compose")
        for file in ("speaker_encoder", "hubert")
    }
    | {"syncnet, minutes of video": [*stage("syncnet", "video_folder"), "pretrain/mouth_syncnet"]}
    | {f"cpc on {data}": stage("cpc", data) for data in ("voxceleb2", "video_folder", "synthetic")}
    | {"cpc by recording": ["base/trainer", "data/voxceleb2", "data/voxceleb2_recordings", *FITS["cpc"]]}
    | {
        "distill, unseen actors": ["base/trainer", "data/crema_d", "data/crema_d_unseen", *FITS["distill"]],
        "identity_teacher, unseen actors": [
            "base/trainer",
            "data/crema_d",
            "data/crema_d_unseen",
            *FITS["identity_teacher"],
        ],
        "compose, small corpus": [
            *stage("compose", "video_folder", own=True),
            "compose/small_corpus",
            "base/seven_emotions",
        ],
        "compose, best by LPIPS": [*tiny("compose"), "compose/lpips"],
        "compose on all GPUs, with SyncNet": [*tiny("compose"), "base/ddp", "compose/sync_confidence"],
        "compose, compiled": [*tiny("compose"), "compose/compiled"],
        "distill, compiled": [*tiny("distill"), "distill/compiled"],
        "test": [*tiny("compose"), "test/report"],
        "test without judges": [*tiny("compose"), "test/pixels"],
        "test by own judges": [*tiny("compose"), "test/own_judges"],
        "distill on real faces": [
            *stage("distill", "real_faces", own=True),
            "base/seven_emotions",
            "distill/mini_xception",
        ],
        "compose, unseen real faces": [
            "base/trainer",
            "data/real_faces",
            "data/real_faces_unseen",
            *FITS["compose"],
            *OWN["compose"],
            "base/seven_emotions",
        ],
        "test on real faces": [
            *stage("compose", "real_faces", own=True),
            "base/seven_emotions",
            "test/keep_clips",
            "test/real_judges",
        ],
        "published SDFA": [*stage("sdfa"), "baselines/sdfa_published"],
        "s2f_sdfa, learning rate decay": [
            *stage("sdfa"),
            "ablations/learning_rate_decay",
            "baselines/s2f_sdfa",
        ],
        "test of SDFA(mismatch)": [*tiny("sdfa"), "baselines/mismatch", "test/keep_clips", "test/own_judges"],
    }
    | {name: ["base/trainer", "demo/demo", *files] for name, files in DEMO.items()}
    | {name: ["base/trainer", "real_faces/real_faces", *files] for name, files in REAL.items()}
    | {
        f"ablations of {group}": [
            *tiny(group.split(",")[0]),
            *(f"ablations/{n}" for n, g in ABLATIONS.items() if g == group),
        ]
        for group in ABLATIONS.values()
    }
)


def arguments(files: list[str]) -> list[str]:
    """`--config FILE` for each, with absolute paths."""
    return [part for name in files for part in ("--config", str(EXPERIMENTS / f"{name}.yaml"))]
