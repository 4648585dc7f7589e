"""The same network and step in other libraries, none of which validates: the seconds of the iterations."""

import os
import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from raw import load, parse

Train = Callable[[np.ndarray, np.ndarray, int], Any]  # features (N, j), labels (N, 1) and epochs


def sklearn(_: int, **options: Any) -> Train:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    warnings.simplefilter("ignore", ConvergenceWarning)
    plain = {"solver": "sgd", "momentum": 0, "alpha": 0, "learning_rate_init": 0.8}
    endless = {"tol": 0, "n_iter_no_change": 10**9, "warm_start": True}
    net = MLPClassifier((32,), "tanh", random_state=0, **plain, **endless, **options)
    return lambda x, y, epochs: net.set_params(max_iter=epochs).fit(x, y[:, 0])


def skorch(features: int, batch_size: int, shuffle: bool) -> Train:
    from skorch import NeuralNetBinaryClassifier
    from torch import nn, optim

    layers = nn.Sequential(nn.Linear(features, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0))
    options = {"batch_size": batch_size, "iterator_train__shuffle": shuffle, "train_split": None, "verbose": 0}
    net = NeuralNetBinaryClassifier(layers, optimizer=optim.SGD, lr=0.8, **options)
    return lambda x, y, epochs: net.set_params(max_epochs=epochs).partial_fit(x, y[:, 0])


def keras(features: int, **options: Any) -> Train:
    os.environ["KERAS_BACKEND"] = "torch"  # Keras reads it when it is imported.
    from keras import Input, Sequential, layers, optimizers

    net = Sequential([Input((features,)), layers.Dense(32, "tanh"), layers.Dense(1, "sigmoid")])
    net.compile(optimizers.SGD(0.8), "binary_crossentropy")
    train = partial(net.fit, verbose=0, **options)
    return lambda x, y, epochs: train(x, y, epochs=epochs)


if __name__ == "__main__":
    options = parse()
    x, y = (rows.numpy() for rows in load(options.root)[0])
    batch_size = options.batch_size or len(x)
    epoch = -(-len(x) // batch_size)
    library = {"sklearn": sklearn, "skorch": skorch, "keras": keras}[options.library]
    train = library(x.shape[1], batch_size=batch_size, shuffle=batch_size < len(x))
    train(x, y, max(1, options.first // epoch))
    start = time.perf_counter()
    train(x, y, (options.steps - options.first) // epoch)
    print("clock:", time.perf_counter() - start)
