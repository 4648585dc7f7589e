"""The same network and step in scikit-learn: prints the seconds of the iterations after a warm-up.

It needs numpy and scikit-learn alone, so that another interpreter than the project's can run it.
"""

import time
import warnings

from arguments import parse
from peers import epochs, load
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


def main() -> None:
    options = parse(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = load(options.root)
    batch_size, warmup, measured = epochs(options, len(x))
    net = MLPClassifier(
        (32,),
        "tanh",
        solver="sgd",
        momentum=0,
        alpha=0,
        learning_rate_init=1.0,
        batch_size=batch_size,
        shuffle=options.batch_size is not None,  # the order of a full batch's rows does not matter
        max_iter=warmup,
        tol=0,
        n_iter_no_change=10**9,
        warm_start=True,
        random_state=0,
    )
    net.fit(x, y)
    net.set_params(max_iter=measured)
    start = time.perf_counter()
    net.fit(x, y)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
