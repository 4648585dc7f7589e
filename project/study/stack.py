"""Networks of one shape that learn from the same rows, trained at once by ``torch.func``."""

import copy
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from project.data.batches import Subset, TrainingBatches
from project.model import BinaryClassifier
from project.model.loss import METRICS, Metric
from project.study.networks import RATE, Network
from project.study.splits import Splits

CELLS = 2**20  # values of a hidden layer that are computed together: they stay in the cache
EVALUATED = ("val", "test")


class Stack(nn.Module):
    """The weights of K networks, each a parameter (K, ...), the rows that they learn from, and how they learn.

    Args:
        networks: what they are, all of one split; their options differ in the rate alone.
        models: their untrained classifiers, in which one may stand for several networks.
    """

    rates: Tensor
    diverged: Tensor

    def __init__(self, networks: Sequence[Network], models: Sequence[BinaryClassifier]) -> None:
        super().__init__()
        self.networks, self.split = list(networks), networks[0].split
        self._template = [copy.deepcopy(models[0])]  # In a list, its own weights are none of this module's.
        weights, _ = stack_module_state([model.net for model in models])
        self._names = list(weights)
        self.weights = nn.ParameterList([weights[name].detach() for name in self._names])
        self.register_buffer("rates", torch.tensor([each.options[RATE] for each in networks]), persistent=False)
        self.register_buffer("diverged", torch.zeros(len(networks), dtype=torch.bool))

    @property
    def template(self) -> BinaryClassifier:
        """A classifier of the same options: its criterion and its standardization are those of all."""
        return self._template[0]

    def take(self, data: Splits) -> None:
        """Get and standardize the rows of the split."""
        self.template.standardize_by(*data.data[self.split].statistics)
        names, device = ("train", *EVALUATED), self.rates.device
        self.rows = {name: data.rows(self.split, name, self.template, device) for name in names}
        train = self.rows["train"]
        self.batch_size = data.data[self.split].batch_size or train.rows
        seeds = {each.seed for each in self.networks}
        self._orders = {seed: TrainingBatches(train, self.batch_size, train.rows, seed, 1) for seed in seeds}

    def batch(self, iteration: int, piece: slice) -> tuple[Tensor, Tensor]:
        """Return features and labels of an iteration for a piece's networks.

        They are the same for all, (N, j) and (N, 1), or each has its own, (k, n, j) and (k, n, 1), in the order that
        ``fit`` takes them in, which depends on the seed.
        """
        train = self.rows["train"]
        if self.batch_size == train.rows:
            return train.features, train.labels
        numbers = torch.stack([self._orders[each.seed].rows(iteration) for each in self.networks[piece]])
        return train.features[numbers], train.labels[numbers]

    def pieces(self, rows: int) -> Iterator[slice]:
        """Cut the networks into pieces that are computed together on so many rows."""
        size = max(1, CELLS // (rows * self.template.width))
        yield from (slice(start, start + size) for start in range(0, len(self.networks), size))

    def losses(self, iteration: int) -> Iterator[Tensor]:
        """Yield, piece by piece, the sum of the networks' losses in an iteration, each times its network's rate."""
        for piece in self.pieces(self.batch_size):
            losses = self.over(self.template.criterion, piece, *self.batch(iteration, piece))
            yield (self.rates[piece] * ~self.diverged[piece] * losses).sum()

    def over(self, measure: Metric, piece: slice, features: Tensor, labels: Tensor) -> Tensor:
        """Return a measure of labels and answers, (...), for each network of a piece, (k, ...).

        Prepared rows are (N, j) and (N, 1), or each network has its own, (k, N, j) and (k, N, 1).
        """
        net, own = self.template.net, 0 if features.ndim == 3 else None

        def of_one(weights: Sequence[Tensor], features: Tensor, labels: Tensor) -> Tensor:
            named = dict(zip(self._names, weights, strict=True))
            return measure(labels, functional_call(net, named, (features,)))

        return vmap(of_one, (0, own, own))([weights[piece] for weights in self.weights], features, labels)

    def classifier(self, place: int) -> BinaryClassifier:
        """Return a network of the stack, with its standardization."""
        model = copy.deepcopy(self.template)
        weights = zip(self._names, self.weights, strict=True)
        model.net.load_state_dict({name: values[place].detach() for name, values in weights})
        return model

    @torch.no_grad()
    def freeze_diverged(self, losses: Tensor) -> None:
        """Note the networks whose weights or losses, (K,), are not finite, and set their weights to 0, where they stay.

        On some processors weights that have overflowed stay finite, and only their answers are NaN.
        """
        finite = torch.stack([weights.flatten(1).isfinite().all(1) for weights in self.weights]).all(0)
        finite &= losses.isfinite()
        self.diverged |= ~finite
        for weights in self.weights:
            weights.masked_fill_(~finite.view(-1, *[1] * (weights.ndim - 1)), 0)

    @torch.no_grad()  # A thread of its own does not know that the trainer wants none.
    def measure(self) -> Tensor:
        """Return each metric of each network on validation and test rows, float64 (2, metrics, K)."""
        return torch.stack([self._measure(self.rows[name]) for name in EVALUATED])

    def _measure(self, rows: Subset) -> Tensor:
        def all_metrics(labels: Tensor, answers: Tensor) -> Tensor:
            return torch.stack([metric(labels, answers).double() for metric in METRICS.values()])

        pieces = self.pieces(len(rows.labels))
        return torch.cat([self.over(all_metrics, piece, rows.features, rows.labels) for piece in pieces]).T
