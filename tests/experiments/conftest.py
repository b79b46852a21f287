"""The chain of all stages, run tiny through the command line once for all test processes."""

from pathlib import Path

import pytest

from s2v.cli import main
from tests.conftest import BuildOnce
from tests.experiments.combinations import FITS, arguments, tiny


@pytest.fixture(scope="session")
def chain(build_once: BuildOnce, crema_d_cache: Path) -> Path:
    """A folder with a finished fit of each stage on `crema_d_cache`: each needs the ones before it."""

    def fill(folder: Path) -> None:
        for name in FITS:
            assert main(["fit", *arguments(tiny(name)), *options(name, crema_d_cache, folder)]) == 0, name

    return build_once("chain", fill)


def options(name: str, cache: Path, folder: Path) -> list[str]:
    """What the corpus of the tests, three speakers at 64 x 64, changes in a tiny fit of CREMA-D."""
    settings = {
        "data.init_args.cache_dir": cache,
        "data.init_args.image_size": 64,
        "data.init_args.crop": "none",
        "trainer.default_root_dir": folder,
        "trainer.accelerator": "cpu",
    }
    if name in ("identity_teacher", "identity_judge"):
        settings["model.init_args.network.init_args.num_classes"] = 3
    return [f"--{key}={value}" for key, value in settings.items()]
