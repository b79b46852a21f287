"""Which errors of a run are told in a line; as whole commands: test_training_cli.py."""

import errno
import pickle
from typing import Any

import pytest
import torch
from torch import nn

from s2v.training.run_fault import explain_run_fault


def of_another_model() -> Exception:
    with pytest.raises(RuntimeError) as raised:
        nn.Linear(2, 1).load_state_dict(
            {"a": torch.zeros(1), "b": torch.zeros(1), "weight": torch.zeros(1, 3)}
        )
    return raised.value


FULL = OSError(errno.ENOSPC, "No space left on device", "run/last.ckpt")
BEST = ValueError(
    '`.test(ckpt_path="best")` is set but `ModelCheckpoint` is not configured to save the best model.'
)


@pytest.mark.parametrize(
    ("error", "asked", "line"),
    [
        (
            pickle.UnpicklingError("weights only"),
            {},
            "--ckpt_path a.ckpt holds more than weights and settings, which is not read: "
            "nothing in a checkpoint is run",
        ),
        (
            FULL,
            {"subcommand": "fit"},
            "the disk is full: fit could not write to run/last.ckpt; make room, then go on with --ckpt_path last",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            {},
            "the disk is full: test could not write to run; make room",
        ),
        (BEST, {}, "--ckpt_path best is known only to the fit that made it: name the file, as RUN/best.ckpt"),
        (
            of_another_model(),
            {},
            '--ckpt_path a.ckpt does not fit the config\'s model (Missing key(s) in state_dict: "bias"); '
            "use the config.yaml saved beside it",
        ),
        (of_another_model(), {"ckpt_path": None}, None),
        (OSError(errno.ENOENT, "No such file or directory", "x"), {}, None),
        (ValueError("best"), {}, None),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), {}, None),
        (KeyError("frames"), {}, None),
    ],
)
def test_lines(error: Exception, asked: dict[str, Any], line: str | None) -> None:
    plain = {"subcommand": "test", "ckpt_path": "a.ckpt", "folder": "run"}
    assert explain_run_fault(error, **{**plain, **asked}) == line
