"""What adversarial trainings share: several optimizers by hand, and one count of steps, the generator's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
from lightning.pytorch.core.optimizer import LightningOptimizer, do_nothing_closure
from torch import Tensor, nn

from s2v.errors import InputError, one_line
from s2v.losses.adversarial import ADVERSARIAL_LOSSES, AdversarialLoss
from s2v.modules.checkpoint_part import begin_with
from s2v.modules.hyperparameters import PlainHyperparameters
from s2v.modules.number_check import check_not_negative
from s2v.modules.shared_validation import SharedValidation
from s2v.training.step_counters import batches_begun, go_on_logging_at


class AdversarialModule(PlainHyperparameters, SharedValidation):
    """A LightningModule that steps its optimizers itself, the generator's first among them.

    Only the generator's counts towards `trainer.global_step`, so max_steps, every_n_train_steps and logging mean
    generator steps.

    Attributes:
        optimizer_names: in the order in which `configure_optimizers` gives the optimizers.
        discriminators: by name.
        learning_rates: of the optimizers, by name.
        weights: of the loss terms, by name as its attributes.
        adversarial: the players' losses; a subclass may set one of its own, in its constructor after the parent's.
        clipping: the largest gradient norm of each, by name as its attributes; None leaves it alone.
        rate_option: of the learning rates, for what advises to change one, `{}` for an optimizer's name.
        accumulate_grad_batches: batches a step. A checkpoint that is saved between them, as at a validation amid an
            epoch, holds none of their gradients.
        scheduler_interval: when the schedulers step.
        initial_checkpoint: another run's, whose generator and discriminators a fit begins with.
    """

    optimizer_names: tuple[str, ...] = ("generator",)
    discriminators: nn.ModuleDict
    learning_rates: dict[str, float]
    adversarial: AdversarialLoss = ADVERSARIAL_LOSSES["least_squares"]
    weights: Any = None
    clipping: Any = None
    rate_option = "model.init_args.{}_lr"
    accumulate_grad_batches: int = 1
    scheduler_interval: Literal["step", "epoch"] = "epoch"
    initial_checkpoint: str | None = None

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.sizes_fit = False
        """Whether the networks have been tried out together."""

    def add_discriminator(self, name: str, network: nn.Module, lr: float) -> None:
        """One more, with an optimizer of its own; for a subclass's constructor, after the parent's.

        The subclass adds its scores, keyed `name`, to those of real and of generated inputs and to the generator's
        losses, where they count as they are.

        Args:
            name: in metrics and checkpoints: `train/loss/d_NAME`, `discriminators.NAME`.
            network: whatever the subclass asks for scores.
            lr: its learning rate.

        Raises:
            InputError: the name is taken by another one or by a loss term, or no module can have it.
        """
        check_not_negative({f"{name}'s lr": lr})
        taken = name in self.optimizer_names or hasattr(self.weights, name)
        try:
            if not taken:
                self.discriminators[name] = network
        except KeyError:  # such as a dot in it, or a dict's method
            taken = True
        if taken:
            raise InputError(f"a discriminator can't be called {name!r} here: give it another name")
        self.learning_rates[name] = lr
        self.optimizer_names = (*self.optimizer_names, name)

    def try_out_once(self, stepping: type["AdversarialModule"], check: Callable[[], None]) -> None:
        """Check whether the networks fit together, unless a subclass of `stepping` has a step of its own."""
        if not self.sizes_fit and type(self).training_step is stepping.training_step:
            check()
        self.sizes_fit = True

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Log at the generator's step: Lightning, which does not see batches being added up, counts each as one."""
        go_on_logging_at(self.trainer, self.trainer.global_step)

    def on_validation_model_zero_grad(self) -> None:
        """Gradients that are being added up outlast a validation: Lightning does not see that they are."""
        if self._completes_step:
            super().on_validation_model_zero_grad()

    def take_initial_weights(self) -> dict[str, Tensor]:
        """To be called by `configure_optimizers`.

        A resumed run's checkpoint has been read by then, so that one is known to go on, and no callback has begun:
        GeneratorEMA's average begins with what the generator has.

        Returns:
            All weights of the initial checkpoint; none without one, or where a run goes on.

        Raises:
            InputError: the checkpoint can't be read, or does not fit.
        """
        if not self.initial_checkpoint or self.has_weights or self.trainer.ckpt_path:
            return {}
        return begin_with(self, self.initial_checkpoint, ("generator", "discriminators"))

    @property
    def _optimizers(self) -> dict[str, LightningOptimizer]:
        return dict(zip(self.optimizer_names, self.optimizers(), strict=True))

    def _count_only_generator_steps(self) -> None:
        """Lightning counts every optimizer's step; the loop restores these hooks each batch."""
        for name, optimizer in self._optimizers.items():
            if name != "generator":
                optimizer._on_before_step = optimizer._on_after_step = do_nothing_closure

    @property
    def _batch_of_epoch(self) -> float:
        """The number of this batch in its epoch, from 1; 0 of its last.

        Counted over all restarts, as the data module does: resumed at an epoch's end, Lightning may number on from
        there, and a checkpoint saved after an epoch's last batch has not seen that epoch end.
        """
        return batches_begun(self.trainer) % self.trainer.num_training_batches

    @property
    def _ends_epoch(self) -> bool:
        return self._batch_of_epoch == 0

    @property
    def _completes_step(self) -> bool:
        """Whether the optimizers step at this batch: an epoch's last does, however few were added up."""
        return self._ends_epoch or self._batch_of_epoch % self.accumulate_grad_batches == 0

    def _optimizer_step(self, name: str) -> None:
        """One optimizer's step; the generator's is a batch's last."""
        optimizer = self._optimizers[name]
        limit = getattr(self.clipping, name, None)
        scaler = getattr(self.trainer.precision_plugin, "scaler", None)
        if limit is not None:
            # with 16-mixed the gradients still carry the scaler's factor
            self.clip_gradients(
                cast(torch.optim.Optimizer, optimizer),
                gradient_clip_val=limit * (scaler.get_scale() if scaler is not None else 1.0),
                gradient_clip_algorithm="norm",
            )
        if scaler is not None and name != "generator":
            with _same_scale(scaler):
                optimizer.step()
        else:
            optimizer.step()
        optimizer.zero_grad()

    def _discriminator_losses(
        self, real_scores: dict[str, Tensor], fake_scores: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """By name, of the discriminators that have scores of both."""
        return {
            name: self.adversarial.discriminator(scores, fake_scores[name])
            for name, scores in real_scores.items()
        }

    def _step_discriminators(self, losses: dict[str, Tensor]) -> None:
        """One backward pass for all; `losses` are keyed as their optimizers, and empty where none takes part."""
        if losses:
            self.manual_backward(torch.stack(list(losses.values())).sum() / self.accumulate_grad_batches)
        if self._completes_step:
            for name in losses:
                self._optimizer_step(name)

    def _step_generator(self, loss: Tensor) -> None:
        self.manual_backward(loss / self.accumulate_grad_batches)
        if self._completes_step:
            self._optimizer_step("generator")

    def _step_schedulers(self) -> None:
        """Manual optimisation leaves the schedulers to us."""
        if not (self._ends_epoch if self.scheduler_interval == "epoch" else self._completes_step):
            return
        schedulers = self.lr_schedulers()
        for scheduler in schedulers if isinstance(schedulers, list) else [schedulers] if schedulers else []:
            try:
                scheduler.step()  # type: ignore[call-arg]
            except (ZeroDivisionError, ValueError) as error:
                raise InputError(
                    f"the model's {type(scheduler).__name__} fails at step {self.trainer.global_step} "
                    f"({one_line(error, 160)}): give its init_args other numbers, or leave it out"
                ) from error

    def _log_and_collect(
        self,
        losses: dict[str, Tensor],
        real_scores: dict[str, Tensor],
        fake_scores: dict[str, Tensor],
        fake: Tensor,
        real: Tensor,
    ) -> dict[str, Any]:
        """Log a step's losses; what `training_step` returns, for callbacks."""
        self.log_dict({f"train/loss/{name}": loss for name, loss in losses.items()}, batch_size=len(real))
        return {
            "losses": _detached(losses),
            "real_scores": self._on_one_scale(real_scores),
            "fake_scores": self._on_one_scale(fake_scores),
            "fake_frames": fake.detach(),
            "real_frames": real,
        }

    def _on_one_scale(self, scores: dict[str, Tensor]) -> dict[str, Tensor]:
        return {name: self.adversarial.on_one_scale(score) for name, score in _detached(scores).items()}

    def _share_statistics(self, *networks: nn.Module) -> None:
        """Running statistics of the networks in training become their mean over the ranks, after each batch.

        DistributedDataParallel would hand rank 0's on before each forward pass, but Lightning turns that off in manual
        optimisation. Each rank would then keep its own, and a resumed fit, which gives all of them the one in the
        checkpoint, would not be the uninterrupted one.
        """
        if self.trainer.world_size == 1:
            return
        buffers = [b for network in networks for b in network.buffers() if b.is_floating_point()]
        if not buffers:
            return
        own = torch.cat([b.detach().flatten() for b in buffers])
        shared = cast(Tensor, self.trainer.strategy.reduce(own, reduce_op="mean"))
        for buffer, mean in zip(buffers, shared.split([b.numel() for b in buffers]), strict=True):
            buffer.copy_(mean.view_as(buffer))


def _detached(values: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in values.items()}


@contextmanager
def _same_scale(scaler: Any) -> Iterator[None]:
    """Lightning has 16-mixed's scaler choose its next factor after each optimizer's step. The discriminators' gradients
    are of one backward pass and all carry the factor it had then: it chooses once, after the last step.
    """
    scaler.update = lambda: None
    try:
        yield
    finally:
        del scaler.update


def weighted_sum(terms: dict[str, Tensor], weights: Any) -> Tensor:
    """The loss of scalar terms; one that a subclass adds has no weight of its name, and counts as it is.

    Args:
        terms: keyed as the attributes of `weights`, or otherwise.
        weights: a dataclass of factors.

    Raises:
        InputError: there is no term, or one is no scalar.
    """
    if not terms:
        raise InputError(
            "every one of model.init_args.weights is 0, and the generator has nothing to learn: give one a weight"
        )
    for name, term in terms.items():
        if term.ndim:
            raise InputError(
                f"the generator's term {name!r} has the shape {tuple(term.shape)}: a scalar was expected, such as "
                "its mean"
            )
    return torch.stack([getattr(weights, name, 1.0) * term for name, term in terms.items()]).sum()


def normalise(frames: Tensor) -> Tensor:
    """uint8 0..255 -> float32 in [-1, 1]."""
    return frames.float() / 127.5 - 1
