"""Running a page's shell blocks as they are written."""

import os
import subprocess
from pathlib import Path

from tests.experiments.combinations import REPOSITORY


def run_commands(blocks: list[str], folder: Path, s2v: str) -> str:
    """Run the blocks in `folder` with `s2v`, the text of a script, as that command; what they print."""
    command = folder / "bin" / "s2v"
    command.parent.mkdir()
    command.write_text(s2v)
    command.chmod(0o755)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join(blocks)],
        cwd=folder,
        env=os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}", "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
