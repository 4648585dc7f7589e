"""The same network and step in Keras on torch: prints the seconds of the iterations after a warm-up, never validating.

It needs torch and keras, so that another interpreter than the project's can run it.
"""

import os
import time

os.environ["KERAS_BACKEND"] = "torch"

# Keras reads the variable when it is imported.
import keras
from arguments import parse
from peers import epochs, load


def main() -> None:
    options = parse(__doc__)
    x, y = load(options.root)
    layers = [keras.Input((x.shape[1],)), keras.layers.Dense(32, "tanh"), keras.layers.Dense(1, "sigmoid")]
    net = keras.Sequential(layers)
    net.compile(keras.optimizers.SGD(0.8), "binary_crossentropy")
    batch_size, warmup, measured = epochs(options, len(x))
    settings = {"batch_size": batch_size, "shuffle": options.batch_size is not None, "verbose": 0}
    net.fit(x, y[:, None], epochs=warmup, **settings)
    start = time.perf_counter()
    net.fit(x, y[:, None], epochs=measured, **settings)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
