"""A step of every network of a study, and what is measured and kept of each."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn

from project.model import BinaryClassifier
from project.model.loss import METRICS
from project.study.networks import Design, Network, group_alike
from project.study.stack import EVALUATED, VAL, Stack


class Classifiers(LightningModule):
    """All networks of a study, each of which becomes what ``fit`` with its split, seed and options makes.

    They are equal but for rounding. At large rates, on the sample from about 4, that decides where training ends.
    A plain SGD step of rate r on a loss is one of rate 1 on r times the loss. So one optimizer serves all rates, and
    the networks' losses are added up, because none depends on another one's weights. Test rows are measured beside
    validation rows; nothing here depends on what they say. The models are of a ``kind``, and ``design`` are the
    arguments of a Design; a ValueError says which option is out of its range.
    """

    def __init__(self, num_features: int, kind: type[BinaryClassifier] = BinaryClassifier, **design: Any) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["kind"], logger=False)
        self.design = Design(**design)
        self.networks, self._stacks = list[Network](), list[Stack]()
        for networks in group_alike(self.design.networks):
            models = [untrained(kind, num_features, network) for network in networks]
            self._stacks.append(Stack(networks, models, len(self.networks)))
            self.networks += networks
        self.stacks = nn.ModuleList(self._stacks)
        self.initial = {name: weights.detach().clone() for name, weights in self.named_parameters()}
        # How many values a row takes at most in the hidden layers of a stack.
        self.width = max(len(stack.networks) * stack.template.width for stack in self._stacks)
        self.steps: list[int] = []  # the iterations that were validated
        self.curves: list[Tensor] = []  # what was measured then: float64 (val and test, metrics, networks)

    @property
    def diverged(self) -> Tensor:
        """Which networks left the finite numbers, bool (networks,)."""
        return torch.cat([stack.diverged for stack in self._stacks])

    def on_fit_start(self) -> None:
        # Each process trains the networks of some splits, and DDP brings it the gradients of the others.
        rank, ranks, first = self.trainer.global_rank, self.trainer.world_size, self.design.first_split
        self._own = [stack for stack in self._stacks if (stack.split - first) % ranks == rank]
        for stack in self._own:
            stack.load_rows(self.trainer.datamodule)  # type: ignore[attr-defined]  # Lightning attaches it.
        # Stacks share nothing that changes, so that threads need not wait for each other as they do inside a layer;
        # only those that are left over help there.
        threads = torch.get_num_threads()
        workers = max(1, min(threads, len(self._own))) if self.device.type == "cpu" else 1
        self._workers = ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(threads // workers,))

    def on_fit_end(self) -> None:
        self._workers.shutdown()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def training_step(self, batch: int, batch_idx: int) -> Tensor:
        """Add up the gradients of this process's stacks; Lightning's own backward then adds nothing."""
        cast("torch.optim.Optimizer", self.optimizers(use_pl_optimizer=False)).zero_grad()
        ranks = self.trainer.world_size
        list(self._workers.map(lambda stack: stack.add_gradients(batch, ranks), self._own))
        # DDP waits for a gradient of every weight.
        weights = self.parameters() if ranks > 1 else [next(self.parameters())]
        return 0 * torch.stack([each.sum() for each in weights]).sum()

    def optimizer_zero_grad(self, *args: Any) -> None:
        """Keep the gradients: Lightning calls this after training_step, which has zeroed them before."""

    def validation_step(self, batch: int, batch_idx: int) -> None:
        """Do nothing with the batch: the stacks have their rows, and are measured once."""

    def on_validation_epoch_end(self) -> None:
        shape = len(EVALUATED), len(METRICS), len(self.networks)
        measured = torch.zeros(shape, dtype=torch.float64, device=self.device)
        for stack, values in zip(self._own, self._workers.map(Stack.measure, self._own), strict=True):
            measured[..., stack.places] = values
        measured = cast("Tensor", self.trainer.strategy.reduce(measured, reduce_op="sum"))
        own = [measured[VAL, stack.own_metric, stack.places] for stack in self._stacks]
        for stack, losses in zip(self._stacks, own, strict=True):
            stack.freeze_diverged(losses)
        measured.masked_fill_(self.diverged, torch.nan)
        self.steps.append(self.trainer.global_step)
        self.curves.append(measured.cpu())
        means = {f"val/{name}": mean for name, mean in zip(METRICS, measured[VAL].nanmean(1), strict=True)}
        self.log_dict({"val/loss": torch.cat(own).nanmean(), **means}, sync_dist=True)
        self.log("step", float(self.trainer.global_step), sync_dist=True)  # Lightning would number these 19, 39, ...

    def classifier(self, place: int) -> BinaryClassifier:
        """Return one of the networks as what ``fit`` would have made of it."""
        (stack,) = (each for each in self._stacks if each.places.start <= place < each.places.stop)
        return stack.classifier(place - stack.places.start)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        for stack in self._stacks:  # Between two validations weights may have overflowed; those saved are these.
            stack.freeze_diverged(torch.zeros_like(stack.rates))
        checkpoint["initial"] = self.initial
        checkpoint["fingerprint"] = self.trainer.datamodule.classes.fingerprint  # type: ignore[attr-defined]  # Lightning attaches it.
        checkpoint["measured"] = {"steps": self.steps, "curves": self.curves}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self.steps, self.curves = (list(checkpoint["measured"][name]) for name in ("steps", "curves"))


def untrained(kind: type[BinaryClassifier], num_features: int, network: Network) -> BinaryClassifier:
    """Draw the initial weights that ``fit`` would draw, and leave the random numbers as they were."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(network.seed)
        return kind(num_features, **network.options)
