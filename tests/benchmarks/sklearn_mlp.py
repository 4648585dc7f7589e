"""The same network and step in scikit-learn: prints the seconds of the iterations after a warm-up.

It needs numpy and scikit-learn alone, so that another interpreter than the project's can run it.
"""

import time
import warnings
from pathlib import Path

import numpy as np
from arguments import parse
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier


def load(root: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return 60% of each class, standardized: float32 (N, j) and labels (N,)."""
    arrays = [np.load(root / f"class_{label}.npy") for label in (0, 1)]
    parts = [array[: len(array) - 2 * (len(array) // 5)] for array in arrays]
    x = np.concatenate(parts)
    mean, std = x.mean(0, dtype=np.float64), x.std(0, dtype=np.float64)
    return ((x - mean) / std).astype(np.float32), np.repeat([0, 1], [len(part) for part in parts])


def main() -> None:
    options = parse(__doc__)
    warnings.simplefilter("ignore", ConvergenceWarning)
    x, y = load(options.root)
    batch_size = options.batch_size or len(x)
    epoch = -(-len(x) // batch_size)
    net = MLPClassifier(
        (32,),
        "tanh",
        solver="sgd",
        momentum=0,
        alpha=0,
        learning_rate_init=1.0,
        batch_size=batch_size,
        shuffle=options.batch_size is not None,  # the order of a full batch's rows does not matter
        max_iter=max(1, -(-options.warmup // epoch)),
        tol=0,
        n_iter_no_change=10**9,
        warm_start=True,
        random_state=0,
    )
    net.fit(x, y)
    net.set_params(max_iter=options.iterations // epoch)
    start = time.perf_counter()
    net.fit(x, y)
    print(time.perf_counter() - start)


if __name__ == "__main__":
    main()
