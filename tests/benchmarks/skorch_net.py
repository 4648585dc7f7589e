"""The same network and step in skorch: prints the seconds of the iterations after a warm-up, without any validation.

It needs torch, skorch and scikit-learn, so that another interpreter than the project's can run it.
"""

import time

import torch
from arguments import parse
from peers import epochs, load
from skorch import NeuralNetBinaryClassifier


def main() -> None:
    options = parse(__doc__)
    x, y = load(options.root)
    layers = [torch.nn.Linear(x.shape[1], 32), torch.nn.Tanh(), torch.nn.Linear(32, 1), torch.nn.Flatten(0)]
    batch_size, warmup, measured = epochs(options, len(x))
    net = NeuralNetBinaryClassifier(
        torch.nn.Sequential(*layers),
        optimizer=torch.optim.SGD,
        lr=0.8,
        batch_size=batch_size,
        iterator_train__shuffle=options.batch_size is not None,
        train_split=None,
        max_epochs=warmup,
        verbose=0,
    )
    y = y.astype("float32")
    net.fit(x, y)
    start = time.perf_counter()
    net.set_params(max_epochs=measured)
    net.partial_fit(x, y)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
