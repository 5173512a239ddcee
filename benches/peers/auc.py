"""The forest's AUC against scikit-learn's on labelled sets: raw features, fitted on training rows, judged on test rows,
means of several seeds. `compare --dataset DIR` runs it.
"""

import statistics
import subprocess

import numpy as np

import contest
import datasets


def roc_auc(labels, scores):
    """The chance that an anomalous row scores above another; ties count half."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2.0)[inverse]
    n_anomalous = int(labels.sum())
    n_normal = len(labels) - n_anomalous
    return (ranks[labels == 1].sum() - n_anomalous * (n_anomalous + 1) / 2) / (n_anomalous * n_normal)


def ours(program, folder, train, rows, seed):
    """homeostat's forest, through its driver."""
    paths = {name: folder / f"auc-{name}.f64" for name in ("train", "rows", "out")}
    train.astype("<f8").tofile(paths["train"])
    rows.astype("<f8").tofile(paths["rows"])
    argv = [program, paths["train"], paths["rows"], rows.shape[1], seed, paths["out"]]
    subprocess.run([str(arg) for arg in argv], check=True)
    return np.fromfile(paths["out"], dtype="<f8")


def compare(dataset, program, folder, n_seeds):
    """Prints each set's mean AUC over series and seeds, and how far ours is above scikit-learn's."""
    from scores_sklearn import score as sklearn_score

    sets = {}
    for series in datasets.read_dataset(dataset):
        rows, labels = series.read()
        test = labels[series.n_train :]
        if 0 < test.sum() < len(test):
            train, judged = rows[: series.n_train], rows[series.n_train :]
            seeds = [series.seed(seed) for seed in range(1, n_seeds + 1)]
            pair = (
                [roc_auc(test, ours(program, folder, train, judged, seed)) for seed in seeds],
                [roc_auc(test, sklearn_score(train, judged, seed, None)) for seed in seeds],
            )
            sets.setdefault(series.set, []).append(pair)
    print(f"# AUC on raw features, test rows, means over series and {n_seeds} seeds", flush=True)
    for name, pairs in sorted(sets.items()):
        # By seed: each a mean over the set's series, so that the spread shown is that of chance alone.
        mine, theirs = (np.array([pair[side] for pair in pairs]).mean(axis=0) for side in (0, 1))
        print(f"figure forest.auc.{name} {statistics.mean(mine):.4f} AUC")
        print(f"figure forest.auc.{name}.peer.sklearn {statistics.mean(theirs):.4f} AUC")
        difference = mine - theirs
        print(f"figure forest.auc.{name}.vs_sklearn {statistics.mean(difference):+.4f} AUC")
        low, high = (contest.signed(value) for value in (difference.min(), difference.max()))
        print(f"spread forest.auc.{name}.vs_sklearn {low} {high} {n_seeds}", flush=True)
