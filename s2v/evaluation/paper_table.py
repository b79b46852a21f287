"""Table 1 as the paper prints it (Si et al., Interspeech 2021)."""

METRICS = ("ssim", "psnr", "sync_confidence")
"""The paper's SSIM, PSNR and Confidence, by the report's names."""

PAPER = {
    "crema_d": {
        "SDFA": (0.705, 23.568, 5.4),
        "S2F+SDFA": (0.519, 20.104, 4.9),
        "SDFA(mismatch)": (0.521, 20.024, 5.0),
        "speech2video": (0.541, 20.540, 5.1),
    },
    "voxceleb2": {
        "SDFA": (0.7342, 25.121, 5.8),
        "S2F+SDFA": (0.5643, 20.413, 4.9),
        "SDFA(mismatch)": (0.5612, 20.126, 5.0),
        "speech2video": (0.5707, 20.891, 5.1),
    },
}
"""Data set -> system, in the paper's order -> values of `METRICS`."""


def paper_value(dataset: str | None, system: str, metric: str) -> float | None:
    """What the paper printed; None for what it did not."""
    values = PAPER.get(dataset or "", {}).get(system)
    return values[METRICS.index(metric)] if values and metric in METRICS else None


def gap_closed(ours: float, voice_alone: float, with_picture: float) -> float | None:
    """Share of the way from S2F+SDFA up to SDFA that a system goes: 0.12 for the paper's SSIM on CREMA-D.

    None where the picture brings less than 0.01: a share of no gap says nothing.
    """
    gap = with_picture - voice_alone
    return (ours - voice_alone) / gap if gap >= 0.01 else None
