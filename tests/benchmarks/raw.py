"""The coursework written by hand: plain PyTorch and pyplot, in the order of a notebook."""

import argparse
import copy
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from options import SECONDS, parse
from torch import Tensor, nn

GRID_POINTS = 200
Rows = tuple[Tensor, Tensor]  # features (N, j) and labels (N, 1)


def load(root: Path) -> list[Rows]:
    """Read both classes, split each 60/20/20 and standardize by the training subset: train, validation and test."""
    rng = np.random.default_rng(0)
    parts: list[list[np.ndarray]] = [[], [], []]
    for label in (0, 1):
        features = np.load(root / f"class_{label}.npy").astype(np.float32)
        shuffled, fifth = features[rng.permutation(len(features))], len(features) // 5
        for part, rows in zip(parts, np.split(shuffled, [-2 * fifth, -fifth]), strict=True):
            part.append(rows)
    subsets = [np.concatenate(part) for part in parts]
    mean, std = subsets[0].mean(0, dtype=np.float64), subsets[0].std(0, dtype=np.float64)
    features = [torch.from_numpy(((x - mean) / std).astype(np.float32)) for x in subsets]
    return [(x, torch.tensor([0.0, 1.0]).repeat_interleave(len(x) // 2)[:, None]) for x in features]


def build_net(num_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(num_features, 32), nn.Tanh(), nn.Linear(32, 1), nn.Sigmoid())


def bce(y: Tensor, y_hat: Tensor) -> Tensor:
    y_hat = y_hat.clamp(1e-7, 1 - 1e-7)
    return -(y * torch.log(y_hat) + (1 - y) * torch.log(1 - y_hat)).mean()


def train(net: nn.Module, data: list[Rows], options: argparse.Namespace) -> dict[str, list[float]]:
    """Run SGD and return the training loss of each iteration, and the loss and accuracy of each validation."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.8)
    history: dict[str, list[float]] = {"train_loss": [], "val_step": [], "val_loss": [], "val_accuracy": []}
    (x_train, y_train), (x_val, y_val), _ = data
    start = rows = len(x_train)
    for i in range(1, options.steps + 1):
        x, y = x_train, y_train
        if options.batch_size:
            if start >= rows:
                order, start = torch.randperm(rows), 0
            batch = order[start : start + options.batch_size]
            x, y = x[batch], y[batch]
            start += options.batch_size
        optimizer.zero_grad()
        loss = bce(y, net(x))
        loss.backward()
        optimizer.step()
        history["train_loss"].append(loss.item())
        if i == options.first:
            begin = time.perf_counter()
        if options.first and i == options.steps:
            SECONDS.write_text(str(time.perf_counter() - begin))
        if i % options.interval == 0:
            with torch.no_grad():
                y_hat = net(x_val)
                history["val_step"].append(i)
                history["val_loss"].append(bce(y_val, y_hat).item())
                history["val_accuracy"].append(((y_hat >= 0.5) == (y_val == 1)).float().mean().item())
    return history


def draw(data: list[Rows], history: dict[str, list[float]], before: nn.Module, after: nn.Module) -> None:
    """Save scatter.png, loss.png, accuracy.png and boundary.png into the working directory."""
    (x, y), _, test = data
    plt.figure()
    for label in (0, 1):
        plt.scatter(*x[y[:, 0] == label].T, 16, alpha=0.7, label=f"class {label}")
    plt.legend()
    plt.savefig("scatter.png")
    curves = {"loss": ["train_loss", "val_loss"], "accuracy": ["val_accuracy"]}
    for name, columns in curves.items():
        plt.figure()
        for column in columns:
            steps = history["val_step"] if column.startswith("val") else range(1, len(history[column]) + 1)
            plt.plot(steps, history[column], label=column)
        plt.xlabel("iteration")
        plt.ylabel(name)
        plt.legend()
        plt.savefig(f"{name}.png")
    ticks = (torch.linspace(float(a), float(b), GRID_POINTS) for a, b in zip(x.amin(0), x.amax(0), strict=True))
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


def main() -> None:
    options = parse(__doc__)
    torch.manual_seed(0)
    data = load(options.root)
    net = build_net(data[0][0].shape[1])
    before = copy.deepcopy(net)
    history = train(net, data, options)
    if not options.first:
        draw(data, history, before, net)


if __name__ == "__main__":
    main()
