"""The parser of `s2v fit|validate|test|predict`, and what their help says."""

import re
from typing import Any, NoReturn

from jsonargparse._common import parser_context
from lightning.pytorch.cli import LightningArgumentParser

from s2v.errors import InputError
from s2v.training.config_errors import explain

EXAMPLES = {
    "fit": "--config experiments/base/trainer.yaml --config experiments/data/crema_d.yaml "
    "--config experiments/distill/distill.yaml --config experiments/base/representation.yaml "
    "--trainer.max_epochs 50",
    "validate": "--config runs/crema_d/compose/config.yaml --ckpt_path runs/crema_d/compose/best.ckpt",
    "test": "--config runs/crema_d/compose/config.yaml --config experiments/test/report.yaml "
    "--ckpt_path runs/crema_d/compose/best.ckpt",
    "predict": "--config runs/crema_d/compose/config.yaml --ckpt_path runs/crema_d/compose/best.ckpt",
}

SUMMARIES = {
    "fit": "Train what the configs describe; later configs and options overrule earlier ones.",
    "validate": "Run a checkpoint over the validation split.",
    "test": "Run a checkpoint over the test split and write the report.",
    "predict": "Generate the test split's clips from a checkpoint and hand them to the callbacks that take predictions "
    "(BasePredictionWriter); it writes nothing itself: `s2v export` writes videos.",
}


def described(subcommand: str) -> dict[str, str]:
    """A subcommand's `description` and `usage`."""
    return {
        "description": f"{SUMMARIES[subcommand]} Example: s2v {subcommand} {EXAMPLES[subcommand]}",
        "usage": f"s2v {subcommand} --config FILE [--config FILE ...] [--ckpt_path FILE] [--KEY VALUE]",
    }


class TrainingParser(LightningArgumentParser):
    """LightningCLI's parser with one-line errors, and overlays that exchange a class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # Also of the parsers that jsonargparse makes for a class's arguments: an abbreviated option is a misspelt one.
        super().__init__(*args, **{"allow_abbrev": False} | kwargs)

    def _check_value_key(self, action: Any, value: Any, key: str, *args: Any, **kwargs: Any) -> Any:
        """A config that exchanges a class keeps what the configs before gave its arguments as `${...}`.

        jsonargparse keeps what the new class takes too, but asks so strictly that no interpolation, resolved at the
        end only, is taken for a number or a network. It asks by this method (4.53); the values are checked again
        when they are resolved.
        """
        if "${" not in str(value):
            return super()._check_value_key(action, value, key, *args, **kwargs)
        with parser_context(lenient_check=True):
            return super()._check_value_key(action, value, key, *args, **kwargs)

    def format_help(self, *args: Any, **kwargs: Any) -> str:
        """Where any network will do, not the hundreds that PyTorch has."""
        return re.sub(
            r"(known\s+subclasses:\s+)torch\.nn\.Module,[^)]*",
            r"\1any torch.nn.Module",
            super().format_help(*args, **kwargs),
        )

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)
        parser = getattr(ex, "subcommand_parser", None) or self
        if parser._subcommands_action is not None:
            parser = next(iter(parser._subcommands_action.choices.values()))
        raise InputError(explain(message, parser._option_string_actions)) from ex
