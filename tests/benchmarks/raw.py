"""The coursework written by hand: plain PyTorch and pyplot, in the order of a notebook.

As a script it is the whole of the work, from the files to the figures; with ``--loop`` it times the iterations alone.
"""

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
import torch
from arguments import parse
from torch import Tensor, nn

GRID_POINTS = 200


class Data(NamedTuple):
    """Features (N, j) and labels (N, 1) of each subset."""

    x_train: Tensor
    y_train: Tensor
    x_val: Tensor
    y_val: Tensor
    x_test: Tensor
    y_test: Tensor


def load(root: Path) -> Data:
    """Read both classes, split each 60/20/20 and standardize by the training subset."""
    rng = np.random.default_rng(0)
    parts: list[list[np.ndarray]] = [[], [], []]
    for label in (0, 1):
        features = np.load(root / f"class_{label}.npy").astype(np.float32)
        shuffled, fifth = features[rng.permutation(len(features))], len(features) // 5
        for part, rows in zip(parts, np.split(shuffled, [-2 * fifth, -fifth]), strict=True):
            part.append(rows)
    x_train, x_val, x_test = (np.concatenate(part) for part in parts)
    labels = (np.repeat([0, 1], len(x) // 2)[:, None].astype(np.float32) for x in (x_train, x_val, x_test))
    y_train, y_val, y_test = labels
    mean, std = x_train.mean(0, dtype=np.float64), x_train.std(0, dtype=np.float64)
    x_train, x_val, x_test = (((x - mean) / std).astype(np.float32) for x in (x_train, x_val, x_test))
    return Data(*(torch.from_numpy(array) for array in (x_train, y_train, x_val, y_val, x_test, y_test)))


def build_net(num_features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(num_features, 32), nn.Tanh(), nn.Linear(32, 1), nn.Sigmoid())


def bce(y: Tensor, y_hat: Tensor) -> Tensor:
    y_hat = y_hat.clamp(1e-7, 1 - 1e-7)
    return -(y * torch.log(y_hat) + (1 - y) * torch.log(1 - y_hat)).mean()


def train(
    net: nn.Module, data: Data, iterations: int, batch_size: int | None = None, validate_every: int = 20
) -> dict[str, list[float]]:
    """Run SGD and return the training loss of each iteration, and the loss and accuracy of each validation."""
    optimizer = torch.optim.SGD(net.parameters(), lr=0.8)
    history: dict[str, list[float]] = {"train_loss": [], "val_step": [], "val_loss": [], "val_accuracy": []}
    rows = len(data.x_train)
    start = rows
    for i in range(1, iterations + 1):
        x, y = data.x_train, data.y_train
        if batch_size is not None:
            if start >= rows:
                order, start = torch.randperm(rows), 0
            batch = order[start : start + batch_size]
            x, y = x[batch], y[batch]
            start += batch_size
        optimizer.zero_grad()
        loss = bce(y, net(x))
        loss.backward()
        optimizer.step()
        history["train_loss"].append(loss.item())
        if validate_every and i % validate_every == 0:
            with torch.no_grad():
                y_hat = net(data.x_val)
                history["val_step"].append(i)
                history["val_loss"].append(bce(data.y_val, y_hat).item())
                history["val_accuracy"].append(((y_hat >= 0.5) == (data.y_val == 1)).float().mean().item())
    return history


def draw(
    data: Data, history: dict[str, list[float]], before: Callable[[Tensor], Tensor], after: Callable[[Tensor], Tensor]
) -> None:
    """Save scatter.png, loss.png, accuracy.png and boundary.png into the working directory."""
    x, y = data.x_train, data.y_train[:, 0]
    plt.figure()
    for label in (0, 1):
        plt.scatter(x[y == label, 0], x[y == label, 1], 16, alpha=0.7, label=f"class {label}")
    plt.legend()
    plt.savefig("scatter.png")
    plt.figure()
    plt.plot(range(1, len(history["train_loss"]) + 1), history["train_loss"], label="training")
    plt.plot(history["val_step"], history["val_loss"], label="validation")
    plt.xlabel("iteration")
    plt.ylabel("loss")
    plt.legend()
    plt.savefig("loss.png")
    plt.figure()
    plt.plot(history["val_step"], history["val_accuracy"])
    plt.xlabel("iteration")
    plt.ylabel("validation accuracy")
    plt.savefig("accuracy.png")
    low, high = x.min(0).values, x.max(0).values
    ticks = (torch.linspace(float(a), float(b), GRID_POINTS) for a, b in zip(low, high, strict=True))
    grid = torch.meshgrid(*ticks, indexing="xy")
    inputs = torch.stack([axis.ravel() for axis in grid], 1)
    _, axes = plt.subplots(1, 2, figsize=(12.8, 4.8))
    for ax, title, net in zip(axes, ("before", "after"), (before, after), strict=True):
        with torch.no_grad():
            probability = net(inputs).reshape(GRID_POINTS, GRID_POINTS)
        ax.contourf(*grid, probability, 20, cmap="RdBu_r", vmin=0, vmax=1)
        ax.contour(*grid, probability, [0.5], colors="black")
        for features, labels, marker in (data.x_train, data.y_train, "o"), (data.x_test, data.y_test, "^"):
            style = {"cmap": "RdBu_r", "marker": marker, "edgecolors": "white"}
            ax.scatter(features[:, 0], features[:, 1], 16, labels[:, 0], **style)
        ax.set_title(f"{title} training")
    plt.savefig("boundary.png")


def main() -> None:
    options = parse(__doc__, "--loop")
    torch.manual_seed(0)
    data = load(options.root)
    net = build_net(data.x_train.shape[1])
    if options.loop:
        train(net, data, options.warmup, options.batch_size, options.validate_every)
        start = time.perf_counter()
        train(net, data, options.iterations, options.batch_size, options.validate_every)
        print(time.perf_counter() - start)
        return
    before = build_net(data.x_train.shape[1])
    before.load_state_dict(net.state_dict())
    history = train(net, data, options.iterations, options.batch_size, options.validate_every)
    draw(data, history, before, net)
    print(f"validation loss {history['val_loss'][-1]:.4f}, accuracy {history['val_accuracy'][-1]:.4f}")


if __name__ == "__main__":
    main()
