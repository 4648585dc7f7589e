"""The coursework written by hand: plain PyTorch and pyplot, in the order of a notebook."""

import copy
import time
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

SAMPLE = Path(__file__).parents[2] / "project" / "data" / "sample"
Rows = tuple[Tensor, Tensor]  # features (N, j) and labels (N, 1)
History = tuple[list[float], list[tuple[int, float, float]]]  # each training loss; step, loss, accuracy of validations


def parse() -> Namespace:
    """Return the options, which are spelled as the project's; the first is the iteration after which a clock starts."""
    parser = ArgumentParser(allow_abbrev=False)
    parser.add_argument("--data.root", dest="root", type=Path, default=SAMPLE)
    parser.add_argument("--data.batch_size", dest="batch_size", type=int)
    parser.add_argument("--trainer.max_steps", dest="steps", type=int, default=1000)
    parser.add_argument("--trainer.val_check_interval", dest="interval", type=int, default=20)
    parser.add_argument("--trainer.callbacks.first", dest="first", type=int)
    parser.add_argument("--library")
    return parser.parse_known_args()[0]


def load(root: Path) -> list[Rows]:
    """Read both classes, split each 60/20/20 and standardize by the training subset: train, validation and test."""
    rng, parts = np.random.default_rng(0), []
    for label in (0, 1):
        features = np.load(root / f"class_{label}.npy").astype(np.float32)
        shuffled, fifth = features[rng.permutation(len(features))], len(features) // 5
        parts.append(np.split(shuffled, [-2 * fifth, -fifth]))
    subsets = [np.concatenate(part) for part in zip(*parts, strict=True)]
    mean, std = subsets[0].mean(0, dtype=np.float64), subsets[0].std(0, dtype=np.float64)
    features = [torch.from_numpy(((x - mean) / std).astype(np.float32)) for x in subsets]
    return [(x, torch.tensor([0.0, 1.0]).repeat_interleave(len(x) // 2)[:, None]) for x in features]


def build_net(num_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(num_features, 32), nn.Tanh(), nn.Linear(32, 1), nn.Sigmoid())


def bce(y: Tensor, y_hat: Tensor) -> Tensor:
    y_hat = y_hat.clamp(1e-7, 1 - 1e-7)
    return -(y * torch.log(y_hat) + (1 - y) * torch.log(1 - y_hat)).mean()


def accuracy(y: Tensor, y_hat: Tensor) -> Tensor:
    return ((y_hat >= 0.5) == (y == 1)).float().mean()


def batches(x: Tensor, y: Tensor, size: int | None) -> Iterator[Rows]:
    while True:
        for batch in torch.randperm(len(x), device=x.device).split(size) if size else [slice(None)]:
            yield x[batch], y[batch]


def train(net: nn.Module, data: list[Rows], options: Namespace) -> History:
    optimizer = torch.optim.SGD(net.parameters(), lr=0.8)
    losses, validations = [], []
    train, (x_val, y_val), _ = data
    for i, (x, y) in enumerate(islice(batches(*train, options.batch_size), options.steps), 1):
        optimizer.zero_grad()
        loss = bce(y, net(x))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if i == options.first:
            begin = time.perf_counter()
        if options.first and i == options.steps:
            print("clock:", time.perf_counter() - begin)
        if i % options.interval == 0:
            with torch.no_grad():
                y_hat = net(x_val)
            validations.append((i, bce(y_val, y_hat).item(), accuracy(y_val, y_hat).item()))
    return losses, validations


def draw(data: list[Rows], history: History, before: nn.Module, after: nn.Module) -> None:
    """Save scatter.png, loss.png, accuracy.png and boundary.png into the working directory."""
    (x, y), _, test = data
    plt.figure()
    for label in (0, 1):
        plt.scatter(*x[y[:, 0] == label].T, 16, alpha=0.7, label=f"class {label}")
    plt.legend()
    plt.savefig("scatter.png")
    losses, (steps, val_losses, val_accuracies) = history[0], np.transpose(history[1])
    for name, values in {"loss": val_losses, "accuracy": val_accuracies}.items():
        plt.figure()
        if name == "loss":
            plt.plot(range(1, len(losses) + 1), losses, label="training")
        plt.plot(steps, values, label="validation")
        plt.xlabel("iteration")
        plt.ylabel(name)
        plt.legend()
        plt.savefig(f"{name}.png")
    ticks = (torch.linspace(float(a), float(b), 200) for a, b in zip(x.amin(0), x.amax(0), strict=True))
    grid = torch.meshgrid(*ticks, indexing="xy")
    _, axes = plt.subplots(1, 2, figsize=(12.8, 4.8))
    for ax, title, net in zip(axes, ("before", "after"), (before, after), strict=True):
        with torch.no_grad():
            probability = net(torch.stack(grid, 2))[:, :, 0]
        ax.contourf(*grid, probability, 20, cmap="RdBu_r", vmin=0, vmax=1)
        ax.contour(*grid, probability, [0.5], colors="black")
        for (features, labels), marker in ((x, y), "o"), (test, "^"):
            ax.scatter(*features.T, 16, labels[:, 0], cmap="RdBu_r", marker=marker, edgecolors="white")
        ax.set_title(f"{title} training")
    plt.savefig("boundary.png")


if __name__ == "__main__":
    options = parse()
    torch.manual_seed(0)
    data = load(options.root)
    net = build_net(data[0][0].shape[1])
    before = copy.deepcopy(net)
    history = train(net, data, options)
    if not options.first:
        draw(data, history, before, net)
