"""What an iteration of a study computes and keeps: a step of every network."""

from collections.abc import Sequence
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.study.networks import RATE, Options, stacks_of
from project.study.stack import EVALUATED, Stack


class Classifiers(LightningModule):
    """All networks of a study, each of which becomes what ``fit`` with its split, seed and options makes.

    A plain SGD step of rate r on a loss is one of rate 1 on r times the loss. So one optimizer serves all rates, and
    the networks' losses are added up, because none depends on another one's weights. Test rows are measured beside
    validation rows; nothing here depends on what they say.

    Args:
        num_features: Number of features j.
        combined: The combinations of a classifier's options.
        splits: Seeds of the data's split.
        seeds: Seeds of the initial weights and of the order of rows.
        kind: The class of the models.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        num_features: int,
        combined: Sequence[Options],
        splits: Sequence[int],
        seeds: Sequence[int],
        kind: type[BinaryClassifier] = BinaryClassifier,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["kind"], logger=False)
        drawn: dict[tuple[str, ...], BinaryClassifier] = {}

        def model(seed: int, options: Options) -> BinaryClassifier:
            """Draw the initial weights once that differ in split and rate alone, as fit would draw them."""
            key = (str(seed), *(f"{name} {value}" for name, value in options.items() if name != RATE))
            if key not in drawn:
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(seed)
                    drawn[key] = kind(num_features, **options)
            return drawn[key]

        self.stacks = nn.ModuleList(
            Stack(networks, [model(each.seed, each.options) for each in networks])
            for networks in stacks_of(combined, splits, seeds)
        )
        self.networks = [network for stack in self._stacks for network in stack.networks]
        self.initial: dict[str, Tensor] = {}
        self.steps: list[int] = []  # the iterations that were validated
        self.curves: list[Tensor] = []  # what was measured then: float64 (val and test, metrics, networks)

    @property
    def _stacks(self) -> Sequence[Stack]:
        return cast("Sequence[Stack]", self.stacks)

    @property
    def width(self) -> int:
        """How many values a row takes in the hidden layers of networks that are computed together."""
        return max(len(stack.networks) * stack.template.width for stack in self._stacks)

    @property
    def diverged(self) -> Tensor:
        """Which networks left the finite numbers, bool (networks,)."""
        return torch.cat([stack.diverged for stack in self._stacks])

    def on_fit_start(self) -> None:
        self.initial = {name: weights.detach().cpu().clone() for name, weights in self.named_parameters()}
        for stack in self._stacks:
            stack.template.trainer = self.trainer
            stack.take(self.trainer.datamodule)  # type: ignore[attr-defined]  # Lightning attaches it.

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, batch: int, batch_idx: int) -> dict[str, Tensor]:
        """Add up the gradients of all pieces but the last one, which Lightning's own backward adds."""
        cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False)).zero_grad()
        loss = torch.zeros((), device=self.device)
        for stack in self._stacks:
            for part in stack.losses(batch):
                if loss.requires_grad:
                    loss.backward()  # type: ignore[no-untyped-call]
                loss = part
        return {"loss": loss}

    def optimizer_zero_grad(self, *args: Any) -> None:
        """Keep the gradients: Lightning calls this after training_step, which has zeroed them before."""

    def on_train_batch_end(self, outputs: Any, batch: int, batch_idx: int) -> None:
        with torch.no_grad():
            for stack in self._stacks:
                stack.mark()

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Do nothing with the batch: the stacks have their rows, and are measured once."""

    def on_validation_epoch_end(self) -> None:
        measured = torch.cat([stack.measure() for stack in self._stacks], 2).cpu()
        self.steps.append(self.trainer.global_step)
        self.curves.append(measured)
        criteria = [list(METRICS).index(network.options["loss"]) for network in self.networks]
        own = measured[0, criteria, torch.arange(len(criteria))]
        means = zip(("loss", *METRICS), [own.nanmean(), *measured[0].nanmean(1)], strict=True)
        self.log_dict({f"val/{name}": value.item() for name, value in means})
        self.log("step", float(self.trainer.global_step))  # Otherwise Lightning numbers the validation after 20 as 19.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["initial"] = self.initial
        checkpoint["fingerprint"] = self.trainer.datamodule.fingerprint  # type: ignore[attr-defined]  # Lightning attaches it.
        checkpoint["measured"] = {"steps": self.steps, "curves": self.curves}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps, self.curves = list(checkpoint["measured"]["steps"]), list(checkpoint["measured"]["curves"])
        shape = (len(EVALUATED), len(METRICS), len(self.networks))
        if any(each.shape != shape for each in self.curves) or len(self.steps) != len(self.curves):
            raise ValueError(f"what was measured is not {shape}")
