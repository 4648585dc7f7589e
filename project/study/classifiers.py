"""What an iteration of a study computes and keeps: a step of every network."""

from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.study.networks import RATE, Options, networks_of, stacks_of
from project.study.stack import EVALUATED, Stack


class Classifiers(LightningModule):
    """All networks of a study, each of which becomes what ``fit`` with its split, seed and options makes.

    A plain SGD step of rate r on a loss is one of rate 1 on r times the loss. So one optimizer serves all rates, and
    the networks' losses are added up, because none depends on another one's weights. Test rows are measured beside
    validation rows; nothing here depends on what they say.

    Args:
        num_features: Number of features j.
        combined: The combinations of a classifier's options.
        baselines: More of them, which are for comparison only.
        splits: Seeds of the data's split.
        seeds: Seeds of the initial weights and of the order of rows, those of one split after those of another.
        kind: The class of the models.

    Raises:
        ValueError: if an option is out of its range.
    """

    def __init__(
        self,
        num_features: int,
        combined: Sequence[Options],
        baselines: Sequence[Options],
        splits: Sequence[int],
        seeds: Sequence[int],
        kind: type[BinaryClassifier] = BinaryClassifier,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["kind"], logger=False)
        with torch.device("meta"):  # Of all options, also of those that draw no weights of their own.
            for options in [*combined, *baselines]:
                kind(num_features, **options)
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
            for networks in stacks_of(networks_of(combined, baselines, splits, seeds))
        )
        self.networks = [network for stack in self._stacks for network in stack.networks]
        self.initial = {name: weights.detach().clone() for name, weights in self.named_parameters()}
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
        rank, splits = self.trainer.global_rank, self.hparams["splits"]
        own = [stack for stack in self._stacks if splits.index(stack.split) % self.trainer.world_size == rank]
        self._own = (
            own  # Each process trains the networks of some splits, and DDP brings it the gradients of the others.
        )
        for stack in own:
            stack.template.trainer = self.trainer
            stack.take(self.trainer.datamodule)  # type: ignore[attr-defined]  # Lightning attaches it.
        # Stacks share nothing that changes, so that threads need not wait for each other as they do inside a layer.
        threads = max(1, min(torch.get_num_threads(), len(own))) if self.device.type == "cpu" else 1
        self._workers = ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,))

    def on_fit_end(self) -> None:
        self._workers.shutdown()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Add up the gradients of this process's stacks, piece by piece; Lightning's own backward then adds nothing.

        With several processes each gradient is one process's, times their number, because Lightning averages over them.
        """
        cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False)).zero_grad()
        ranks = self.trainer.world_size

        def add_gradients(stack: Stack) -> None:
            for loss in stack.losses(batch):
                (ranks * loss).backward()  # type: ignore[no-untyped-call]

        deque(self._workers.map(add_gradients, self._own), maxlen=0)
        # DDP waits for a gradient of every weight.
        weights = self.parameters() if ranks > 1 else [next(self.parameters())]
        return 0 * torch.stack([each.sum() for each in weights]).sum()

    def optimizer_zero_grad(self, *args: Any) -> None:
        """Keep the gradients: Lightning calls this after training_step, which has zeroed them before."""

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Do nothing with the batch: the stacks have their rows, and are measured once."""

    def on_validation_epoch_end(self) -> None:
        found = dict(zip(self._own, self._workers.map(Stack.measure, self._own), strict=True))
        shape = len(EVALUATED), len(METRICS)
        parts = [
            found.get(stack, torch.zeros(*shape, len(stack.networks), dtype=torch.float64, device=self.device))
            for stack in self._stacks
        ]
        measured = cast("Tensor", self.trainer.strategy.reduce(torch.cat(parts, 2), reduce_op="sum"))
        criteria = (
            [list(METRICS).index(network.options["loss"]) for network in self.networks],
            range(len(self.networks)),
        )
        self._freeze_diverged(measured[0][criteria])
        measured = measured.masked_fill(self.diverged, torch.nan).cpu()
        self.steps.append(self.trainer.global_step)
        self.curves.append(measured)
        own = measured[0][criteria]
        means = zip(("loss", *METRICS), [own.nanmean(), *measured[0].nanmean(1)], strict=True)
        self.log_dict({f"val/{name}": value.item() for name, value in means}, sync_dist=True)
        self.log(
            "step", float(self.trainer.global_step), sync_dist=True
        )  # Otherwise Lightning numbers the validation after 20 as 19.

    def _freeze_diverged(self, losses: Tensor) -> None:
        parts = torch.split(losses, [len(stack.networks) for stack in self._stacks])
        for stack, own in zip(self._stacks, parts, strict=True):
            stack.freeze_diverged(own)

    def classifier(self, place: int) -> BinaryClassifier:
        """Return one of the networks as what ``fit`` would have made of it."""
        for stack in self._stacks:
            if place < len(stack.networks):
                return stack.classifier(place)
            place -= len(stack.networks)
        raise IndexError(place)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        # The weights in the checkpoint are these, not copies.
        self._freeze_diverged(torch.zeros(len(self.networks), device=self.device))
        checkpoint["initial"] = self.initial
        checkpoint["fingerprint"] = self.trainer.datamodule.fingerprint  # type: ignore[attr-defined]  # Lightning attaches it.
        checkpoint["measured"] = {"steps": self.steps, "curves": self.curves}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps, self.curves = list(checkpoint["measured"]["steps"]), list(checkpoint["measured"]["curves"])
        shape = (len(EVALUATED), len(METRICS), len(self.networks))
        if any(each.shape != shape for each in self.curves) or len(self.steps) != len(self.curves):
            raise ValueError(f"what was measured is not {shape}")
