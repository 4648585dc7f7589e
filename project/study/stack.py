"""Stacks of networks that train at once by ``torch.func``, and the rows of several splits that they learn from."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from project.data import NpyDataModule
from project.data.batches import Iterations, Loader, Subset, TrainingBatches
from project.model import BinaryClassifier
from project.model.loss import METRICS, Metric
from project.study.networks import RATE, Network

CELLS = 2**21  # values of a hidden layer that are computed together: fewer do not pay for a call, more take memory
EVALUATED = ("val", "test")  # the subsets that are measured
VAL, TEST = range(len(EVALUATED))


class Splits(NpyDataModule):
    """The data of one split, by the options of an NpyDataModule, and of others whose seeds follow its own."""

    def __init__(self, splits: int, **options: Any) -> None:
        super().__init__(**options)
        self.hparams["split"] = self.split  # Lightning has taken what was given.
        self.by_seed: dict[int, NpyDataModule] = {self.seed: self}
        for seed in range(self.seed + 1, self.seed + splits):
            self.by_seed[seed] = NpyDataModule(**{**options, "seed": seed})
        self._rows: dict[tuple[int, str, bool], Subset] = {}

    def setup(self, stage: str | None = None) -> None:
        for data in self.by_seed.values():
            NpyDataModule.setup(data, stage)

    def rows(self, split: int, subset: str, model: BinaryClassifier, device: torch.device) -> Subset:
        """Return the rows of train, val or test of one split as a model sees them, once for all that see the same."""
        key = (split, subset, model.standardize)
        if key not in self._rows:
            rows = self.by_seed[split].classes.gather(subset, prepare=model.standardized)
            self._rows[key] = replace(rows, features=rows.features.to(device))
        return self._rows[key]

    @property
    def largest_piece(self) -> int:
        return self.batch_size or self.classes.rows["train"]

    def describe(self, trainer: Trainer) -> str:
        return f"{self.place}: splits {len(self.by_seed)}, each {self._counts()}"

    def _count(self, subset: str) -> str:
        """Count the rows of a subset, which differ between splits where whole groups are split."""
        least, *_, most = sorted(2 * [data.classes.rows[subset] for data in self.by_seed.values()])
        return f"{least} to {most}" if least < most else str(least)

    def train_dataloader(self) -> Iterations:  # type: ignore[override]  # It gives numbers of iterations, not rows.
        trainer = self.trainer
        assert trainer is not None
        return Iterations(torch.initial_seed(), trainer.max_steps, trainer.global_step)

    def val_dataloader(self) -> list[Loader]:
        return [Loader([0])]  # The networks have the rows already.


class Stack(nn.Module):
    """The weights, each a parameter (K, ...), of K networks of a split whose options differ in the rate alone."""

    rates: Tensor
    diverged: Tensor

    def __init__(self, networks: Sequence[Network], models: Sequence[BinaryClassifier], first: int) -> None:
        super().__init__()
        self.networks, self.split = networks, networks[0].split
        self.places = slice(first, first + len(networks))  # among all of the study
        self.own_metric = list(METRICS).index(networks[0].options["loss"])  # number of what they train on
        self._template = [models[0]]  # nn.Module looks into no list: its own weights are none of this module's.
        weights, _ = stack_module_state([model.net for model in models])
        self._names = list(weights)
        self.weights = nn.ParameterList([weights[name].detach() for name in self._names])
        self.register_buffer("rates", torch.tensor([each.options[RATE] for each in networks]), persistent=False)
        self.register_buffer("diverged", torch.zeros(len(networks), dtype=torch.bool))

    @property
    def template(self) -> BinaryClassifier:
        """One model of these options: its criterion and its standardization are those of all."""
        return self._template[0]

    def load_rows(self, data: Splits) -> None:
        """Get and standardize the rows of the split."""
        self.template.standardization.take(data.by_seed[self.split].classes.moments, data.feature_names)
        subsets = ("train", *EVALUATED)
        rows = {name: data.rows(self.split, name, self.template, self.rates.device) for name in subsets}
        train = self.training_rows = rows["train"]
        # Subsets make their labels anew each time they are asked.
        self.wholes = {name: tuple(subset) for name, subset in rows.items()}
        size = self.batch_size = data.batch_size or train.rows
        self._orders = {each.seed: TrainingBatches(train, size, train.rows, each.seed, 1) for each in self.networks}

    def batch(self, iteration: int, piece: slice) -> tuple[Tensor, Tensor]:
        """Return features and labels, (N, j) and (N, 1), or for each network those of its seed, (k, n, ...)."""
        if self.batch_size == self.training_rows.rows:
            features, labels = self.wholes["train"]
            return features, labels
        numbers = torch.stack([self._orders[each.seed].rows(iteration) for each in self.networks[piece]])
        return self.training_rows.features[numbers], self.training_rows.label(numbers)

    def pieces(self, rows: int) -> list[slice]:
        """Cut the networks into pieces that are computed together on so many rows."""
        size = max(1, CELLS // (rows * self.template.width))
        return [slice(start, start + size) for start in range(0, len(self.networks), size)]

    def add_gradients(self, iteration: int, ranks: int) -> None:
        """Add, piece by piece, the gradients of the networks' losses in an iteration, each times its network's rate."""
        for piece in self.pieces(self.batch_size):
            losses = self.apply_each(self.template.criterion, piece, *self.batch(iteration, piece))
            # Lightning averages over the processes, of which one alone has this gradient.
            (ranks * (self.rates[piece] * ~self.diverged[piece] * losses).sum()).backward()  # type: ignore[no-untyped-call]

    def apply_each(self, measure: Metric, piece: slice, features: Tensor, labels: Tensor) -> Tensor:
        """Return a measure of labels and answers, (...), for each network of a piece, (k, ...), on such a batch."""

        def apply(weights: Sequence[Tensor], features: Tensor, labels: Tensor) -> Tensor:
            named = dict(zip(self._names, weights, strict=True))
            return measure(labels, functional_call(self.template.net, named, (features,)))

        own = 0 if features.ndim == 3 else None
        return vmap(apply, (0, own, own))([weights[piece] for weights in self.weights], features, labels)

    def classifier(self, number: int) -> BinaryClassifier:
        """Return one of the networks, with its standardization."""
        model, weights = copy.deepcopy(self.template), zip(self._names, self.weights, strict=True)
        model.net.load_state_dict({name: values[number].detach() for name, values in weights})
        return model

    @torch.no_grad()
    def freeze_diverged(self, losses: Tensor) -> None:
        """Note the networks whose weights or losses, (K,), are not finite, and keep their weights at 0 from now on."""
        # On some processors weights that have overflowed stay finite, and losses do not.
        finite = torch.stack([losses.isfinite(), *(each.flatten(1).isfinite().all(1) for each in self.weights)]).all(0)
        self.diverged |= ~finite
        for weights in self.weights:
            weights[~finite] = 0

    @torch.no_grad()  # A thread of its own does not know that the trainer wants none.
    def measure(self) -> Tensor:
        """Return each metric of each network on validation and test rows, float64 (2, metrics, K)."""

        def all_metrics(labels: Tensor, answers: Tensor) -> Tensor:
            return torch.stack([metric(labels, answers).double() for metric in METRICS.values()])

        measured = []
        for features, labels in (self.wholes[name] for name in EVALUATED):
            pieces = self.pieces(len(labels))
            measured.append(torch.cat([self.apply_each(all_metrics, piece, features, labels) for piece in pieces]).T)
        return torch.stack(measured)
