"""What a GAN's bad signs mean: the likely cause and the remedy, a line each."""

ALWAYS, NEVER = 0.98, 0.3
"""Win rates of a discriminator that the generator can't learn from."""

AT_CHANCE = 0.95
"""Sync loss, relative to chance, above which nothing has been learnt."""

COLLAPSED, STILL = 0.25, 0.1
"""Diversity and motion of generated frames, relative to real ones, below which something is lost."""

EXPLODING, VANISHING, NOTHING = 100.0, 1e-3, 1e-8
"""Gradient norms: relative to the usual one, and the one that is nothing whatever was usual."""


def complaint(
    sign: str,
    value: float,
    usual: float | None = None,
    rate_option: str = "the {} optimizer's learning rate",
    clips: bool = False,
) -> str | None:
    """What is wrong when `sign` (health/...) has this value; None when nothing is.

    Args:
        sign: a name that GANHealth logs.
        value: its value.
        usual: for a gradient norm, the median so far, when there is one.
        rate_option: what the module calls its learning rates, `{}` for an optimizer's name.
        clips: whether it has a limit of gradient norms by optimizer, `clipping`.
    """
    _, part, *rest = sign.split("/")
    own_rate, generators_rate = rate_option.format(part), rate_option.format("generator")
    if rest == ["win_rate"] and value >= ALWAYS:
        return (
            f"the {part} discriminator always wins, the generator learns little from it: lower {own_rate}, "
            "or its loss's weight until the frames are better"
        )
    if rest == ["win_rate"] and value <= NEVER:
        return (
            f"the {part} discriminator takes generated for real: raise {own_rate}, lower {generators_rate}, "
            "or make that discriminator wider"
        )
    if rest == ["loss_over_chance"] and value >= AT_CHANCE:
        return (
            f"the {part} discriminator is at chance, it can't tell matching speech from shifted: check that "
            f"sound and picture of the clips agree, serve more frames a window, or raise {own_rate}"
        )
    if part == "diversity" and value <= COLLAPSED:
        return (
            "different clips get nearly one face (collapse): lower the adversarial losses' weights or "
            f"{generators_rate}, and check in stage 1 that the identity student tells speakers apart"
        )
    if part == "motion" and value <= STILL:
        return (
            "generated frames hardly move, the contexts are ignored: raise the sync and similarity weights, "
            "and check that the contexts come from a trained CPC"
        )
    if part == "gradient_norm":
        return _gradient_complaint(rest[0], value, usual, rate_option.format(rest[0]), clips)
    return None


def _gradient_complaint(name: str, norm: float, usual: float | None, rate: str, clips: bool) -> str | None:
    if usual is not None and norm > EXPLODING * usual:
        where = f" (model.init_args.clipping.{name})" if clips else ""
        return f"the {name} optimizer's gradients explode: clip them{where} or lower {rate}"
    if norm < NOTHING or (usual is not None and norm < VANISHING * usual):
        return (
            f"the {name} optimizer's gradients vanish: what it follows is saturated or switched off, "
            "see the win rates and the loss weights"
        )
    return None
