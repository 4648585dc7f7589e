"""Networks of one shape that learn from the same rows, trained at once by ``torch.func``."""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from project.data.batches import TrainingBatches
from project.model import BinaryClassifier
from project.model.loss import METRICS, Metric
from project.study.networks import RATE, Network
from project.study.splits import Splits

CELLS = 2**20  # values of a hidden layer that are computed together: they stay in the cache
EVALUATED = ("val", "test")  # the subsets that are measured
VAL, TEST = range(len(EVALUATED))


class Stack(nn.Module):
    """The weights of K networks, each a parameter (K, ...), the rows that they learn from, and how they learn.

    Args:
        networks: what they are, all of one split; their options differ in the rate alone.
        models: their untrained classifiers, the first of which is this stack's from now on.
        first: how many networks the study has before these.
    """

    rates: Tensor
    diverged: Tensor

    def __init__(self, networks: Sequence[Network], models: Sequence[BinaryClassifier], first: int) -> None:
        super().__init__()
        self.networks, self.split = list(networks), networks[0].split
        self.places = slice(first, first + len(networks))  # among all of the study
        self.own_metric = list(METRICS).index(networks[0].options["loss"])  # number of what they train on
        self._template = [models[0]]  # In a list, its own weights are none of this module's.
        weights, _ = stack_module_state([model.net for model in models])
        self._names = list(weights)
        self.weights = nn.ParameterList([weights[name].detach() for name in self._names])
        self.register_buffer("rates", torch.tensor([each.options[RATE] for each in networks]), persistent=False)
        self.register_buffer("diverged", torch.zeros(len(networks), dtype=torch.bool))

    @property
    def template(self) -> BinaryClassifier:
        """A classifier of the same options: its criterion and its standardization are those of all."""
        return self._template[0]

    def load_rows(self, data: Splits) -> None:
        """Get and standardize the rows of the split."""
        self.template.standardization.take(*data.by_seed[self.split].statistics, data.feature_names)
        subsets = ("train", *EVALUATED)
        self.rows = {name: data.rows(self.split, name, self.template, self.rates.device) for name in subsets}
        train = self.rows["train"]
        self.batch_size = data.batch_size or train.rows
        seeds = {each.seed for each in self.networks}
        self._orders = {seed: TrainingBatches(train, self.batch_size, train.rows, seed, 1) for seed in seeds}

    def batch(self, iteration: int, piece: slice) -> tuple[Tensor, Tensor]:
        """Return features and labels of an iteration, (N, j) and (N, 1), or for each network its own, (k, n, ...).

        These are in the order that ``fit`` takes them in, which depends on the seed.
        """
        train = self.rows["train"]
        if self.batch_size == train.rows:
            return train.features, train.labels
        numbers = torch.stack([self._orders[each.seed].rows(iteration) for each in self.networks[piece]])
        return train.features[numbers], train.labels[numbers]

    def pieces(self, rows: int) -> list[slice]:
        """Cut the networks into pieces that are computed together on so many rows."""
        size = max(1, CELLS // (rows * self.template.width))
        return [slice(start, start + size) for start in range(0, len(self.networks), size)]

    def weighted_losses(self, iteration: int) -> Iterator[Tensor]:
        """Yield, piece by piece, the sum of the networks' losses in an iteration, each times its network's rate."""
        for piece in self.pieces(self.batch_size):
            losses = self.apply_each(self.template.criterion, piece, *self.batch(iteration, piece))
            yield (self.rates[piece] * ~self.diverged[piece] * losses).sum()

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
        """Note the networks whose weights or losses, (K,), are not finite, and set their weights to 0, where they stay.

        On some processors weights that have overflowed stay finite, and only their answers are NaN.
        """
        finite = losses.isfinite()
        for weights in self.weights:
            finite &= weights.flatten(1).isfinite().all(1)
        self.diverged |= ~finite
        for weights in self.weights:
            weights.masked_fill_(~finite.view(-1, *[1] * (weights.ndim - 1)), 0)

    @torch.no_grad()  # A thread of its own does not know that the trainer wants none.
    def measure(self) -> Tensor:
        """Return each metric of each network on validation and test rows, float64 (2, metrics, K)."""

        def all_metrics(labels: Tensor, answers: Tensor) -> Tensor:
            return torch.stack([metric(labels, answers).double() for metric in METRICS.values()])

        measured = []
        for features, labels, *_ in (self.rows[name] for name in EVALUATED):
            pieces = self.pieces(len(labels))
            measured.append(torch.cat([self.apply_each(all_metrics, piece, features, labels) for piece in pieces]).T)
        return torch.stack(measured)
