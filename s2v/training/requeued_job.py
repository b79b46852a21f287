"""What a SLURM job leaves behind when it is requeued."""

import re
from pathlib import Path


def requeued_checkpoint(folder: Path) -> Path | None:
    """The newest of the hpc_ckpt_N.ckpt that Lightning writes in a SLURM job; None where there is none."""
    found = {
        int(match[1]): path
        for path in folder.glob("hpc_ckpt_*.ckpt")
        if (match := re.fullmatch(r"hpc_ckpt_(\d+)\.ckpt", path.name))
    }
    return found[max(found)] if found else None
