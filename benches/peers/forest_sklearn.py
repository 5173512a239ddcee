"""The isolation forest against scikit-learn's: a fixture for the unit test, and AUC on labelled sets.

    pip install scikit-learn==1.9.1 pandas==3.1.1
    python benches/peers/forest_sklearn.py fixture > crates/detect/src/forest/tests/sklearn.csv
    cargo build --release -p homeostat-benches --bin forest_bench
    python benches/peers/forest_sklearn.py auc target/release/forest_bench DATASET

DATASET is a folder as `homeostat evaluate --dataset` reads it. Both are fitted on and score all rows of a series, raw, with
100 trees of 256 rows; the mean AUC of five seeds each is printed, and the difference.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

SEEDS = range(1, 6)


def fixture():
    """300 rows in three clumps of different widths, a few of them strays, and scikit-learn's scores, the mean of 40 seeds."""
    rng = np.random.default_rng(7)
    rows = np.concatenate([
        rng.normal([0, 0, 0], [1, 1, 1], (170, 3)),
        rng.normal([6, -3, 100], [0.3, 2, 5], (118, 3)),
        rng.uniform([-8, -12, -60], [14, 12, 200], (12, 3)),
    ]).round(3)
    forests = [IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(rows) for seed in range(40)]
    scores = np.mean([-forest.score_samples(rows) for forest in forests], axis=0)
    for row, score in zip(rows, scores):
        print(*row, f"{score:.5f}", sep=",")


def ours(program, values, seed):
    with tempfile.TemporaryDirectory() as folder:
        rows, scores = pathlib.Path(folder, "rows.f64"), pathlib.Path(folder, "scores")
        rows.write_bytes(np.ascontiguousarray(values, "<f8").tobytes())
        subprocess.run(
            [program, "--rows", rows, "--f64", "--features", str(values.shape[1]), "--seed", str(seed), "--scores", scores],
            input="exit\n", text=True, check=True, stdout=subprocess.DEVNULL,
        )
        return np.loadtxt(scores)


def theirs(values, seed):
    return -IsolationForest(n_estimators=100, max_samples=256, random_state=seed).fit(values).score_samples(values)


def auc(program, dataset):
    import pandas

    dataset = pathlib.Path(dataset)
    records = json.loads((dataset / "manifest.json").read_text())
    records = records if isinstance(records, list) else records["series"]
    by_set = {}
    for record in records:
        if "train_rows" not in record:
            continue
        table = pandas.read_csv(dataset / record["path"])
        labels = table["label"].to_numpy() > 0
        values = table.drop(columns=["timestamp", "label"]).to_numpy(float)
        values = values[:, ~np.isnan(values).all(axis=0)]
        if not 0 < labels.sum() < len(labels):
            continue
        means = [
            np.mean([roc_auc_score(labels, scores(seed)) for seed in SEEDS])
            for scores in (lambda seed: ours(program, values, seed), lambda seed: theirs(values, seed))
        ]
        by_set.setdefault(record["set"], []).append(means)
        print(f"{record['set']:16} {record['series']:40} {means[0]:.4f} {means[1]:.4f} {means[0] - means[1]:+.4f}", flush=True)
    for name, means in sorted(by_set.items()):
        us, them = np.mean(means, axis=0)
        print(f"figure forest.auc.{name}.vs_sklearn {us - them:+.4f} auc")


if __name__ == "__main__":
    if sys.argv[1:] == ["fixture"]:
        fixture()
    elif len(sys.argv) == 4 and sys.argv[1] == "auc":
        auc(*sys.argv[2:])
    else:
        sys.exit(__doc__)
