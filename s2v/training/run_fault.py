"""What went wrong while a fit, validation, test or prediction ran, in one line."""

import pickle

from s2v.files.whole_file import DISK_IS_FULL, why_unwritten
from s2v.training.dead_worker import explain_dead_worker


def explain_run_fault(error: Exception, subcommand: str, ckpt_path: str | None, folder: str) -> str | None:
    """The line for an error that a command's user can do something about; None: it is a fault of the code.

    Args:
        error: what Lightning's loops raised.
        subcommand: fit, validate, test or predict.
        ckpt_path: the checkpoint that was asked for.
        folder: where the run writes, of which a full disk's error does not always name a file.
    """
    if isinstance(error, pickle.UnpicklingError):
        return (
            f"--ckpt_path {ckpt_path} holds more than weights and settings, which is not read: nothing in a "
            "checkpoint is run"
        )
    if isinstance(error, OSError) and why_unwritten(error) == DISK_IS_FULL:
        go_on = ", then go on with --ckpt_path last" if subcommand == "fit" else ""
        return f"{DISK_IS_FULL}: {subcommand} could not write to {error.filename or folder}; make room{go_on}"
    if isinstance(error, ValueError) and "to save the best model" in str(error):
        return "--ckpt_path best is known only to the fit that made it: name the file, as RUN/best.ckpt"
    if not isinstance(error, RuntimeError):
        return None
    if ckpt_path and str(error).startswith("Error(s) in loading state_dict"):
        return (
            f"--ckpt_path {ckpt_path} does not fit the config's model ({_misfits(str(error))}); "
            "use the config.yaml saved beside it"
        )
    return explain_dead_worker(error)


def _misfits(message: str) -> str:
    """What torch's load_state_dict complains of first; of keys, which it lists all, three."""
    first = message.splitlines()[1].strip()
    kind, colon, listed = first.partition("in state_dict: ")
    keys = listed.rstrip(". ").split(", ")
    return f"{kind}{colon}{', '.join(keys[:3])}{' ...' if len(keys) > 3 else ''}" if colon else first
