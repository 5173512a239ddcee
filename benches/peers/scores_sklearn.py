"""Scores of scikit-learn: its IsolationForest (100 trees of 256) on the raw features, or the squared error of what its PCA
(95 % of the variance) can't rebuild, on features standardised by the training rows."""

import numpy as np

import datasets


def score(train, rows, seed, args):
    if args is not None and args.model == "pca":
        return pca(train, rows, args.window)
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, max_samples=min(256, len(train)), n_jobs=1, random_state=seed)
    return -forest.fit(train).score_samples(rows)


def pca(train, rows, window):
    from sklearn.decomposition import PCA

    n_train = len(train)
    rows = datasets.standardised(train, rows)
    if rows.shape[1] == 1:
        rows = datasets.windows(rows, window)
    model = PCA(n_components=0.95, svd_solver="full").fit(rows[:n_train])
    return np.square(rows - model.inverse_transform(model.transform(rows))).sum(axis=1)


def options(parser):
    parser.add_argument("--model", choices=("forest", "pca"), default="forest")
    parser.add_argument("--window", type=int, default=20, help="rows of a window, for PCA on a single feature")


if __name__ == "__main__":
    datasets.write_scores(score, __doc__, options)
