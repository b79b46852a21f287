"""`s2v` for the tutorial's test: a fit gets the narrow networks of experiments/debug and four steps."""

import sys

from s2v.cli import main
from tests.experiments.combinations import TINY, arguments


def smaller(args: list[str]) -> list[str]:
    """A fit's arguments with its stage's tiny overlays after them, in the folder that the tutorial names."""
    stages = [name for name in TINY if any(word.endswith(f"/{name}.yaml") for word in args)]
    (stage,) = stages
    extra = [
        *arguments(["debug/tiny", *TINY[stage]]),
        "--trainer.default_root_dir=runs/videos",
        "--trainer.accelerator=cpu",
    ]
    if stage in ("distill", "compose"):  # debug/representation.yaml is for six emotions
        extra.append("--model.init_args.representation.init_args.emotion_head.init_args.out_dim=7")
    return [*args, *extra]


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(smaller(given) if given[0] == "fit" else given))
