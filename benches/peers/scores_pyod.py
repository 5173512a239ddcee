"""Scores of PyOD's ECOD or PCA, with its defaults, on features standardised by the training rows.

ECOD's own `decision_function` ranks a row among the training rows and *all* rows it is asked about, the later ones
included. That isn't causal; so the empirical tails are taken from the training rows alone, as in its paper (Li et al.
2022, equations 4 to 7).
"""

import numpy as np

import datasets


def ecod(train, rows):
    """Sum over features of −ln of the tail; the greatest of left, right and the one the skewness points at."""
    left, right, skewed = (np.zeros(len(rows)) for _ in range(3))
    for feature in range(train.shape[1]):
        ordered = np.sort(train[:, feature])
        n = len(ordered)
        # One more row than there was, so that what lies beyond all of them has a tail of 1/(n + 1), not of nothing.
        below = -np.log((np.searchsorted(ordered, rows[:, feature], side="right") + 1) / (n + 1))
        above = -np.log((n - np.searchsorted(ordered, rows[:, feature], side="left") + 1) / (n + 1))
        centred = ordered - ordered.mean()
        left += below
        right += above
        skewed += below if (centred**3).mean() < 0 else above
    return np.maximum(np.maximum(left, right), skewed)


def score(train, rows, seed, args):
    n_train = len(train)
    rows = datasets.standardised(train, rows)
    if args.model == "ecod":
        return ecod(rows[:n_train], rows)
    from pyod.models.pca import PCA

    if rows.shape[1] == 1:
        # One feature has no component to leave out: windows of rows instead, as is usual for single series.
        rows = datasets.windows(rows, args.window)
    rows = rows[:, rows[:n_train].std(axis=0) > 0]
    return PCA(random_state=seed).fit(rows[:n_train]).decision_function(rows)


def options(parser):
    parser.add_argument("--model", choices=("ecod", "pca"), required=True)
    parser.add_argument("--window", type=int, default=20, help="rows of a window, for PCA on a single feature")


if __name__ == "__main__":
    datasets.write_scores(score, __doc__, options)
