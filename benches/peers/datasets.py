"""Reads labelled datasets, and writes scores in the form that `homeostat evaluate --scores DIR` judges.

A dataset is a folder with `manifest.json` (a list of `set, series, path, rows, train_rows, features, interval_s`) and gzipped
CSV files: `timestamp`, the features, `label`. Scores are `<set>/<series>.csv`, header `score[,surprise]`, one line a row.
"""

import argparse
import json
import pathlib
import sys
import zlib

import numpy as np
import pandas as pd

HALF_LIVES = (1, 4, 16, 64, 256)
# What each average counts: its half-life to the power of 0.1, as homeostat rounds it.
WEIGHTS = (1.0, 1.15, 1.32, 1.52, 1.74)
# A surprise below this many nats is everyday noise, and doesn't add up.
DEAD_ZONE_NATS = 2.0
# The share of training scores above which the tail is an exponential; below it's empirical.
TAIL_QUANTILE = 0.95
# No row is more surprising; homeostat's own limit.
NATS_MAX = 1e12
# Deviations from the training mean above this are alike, or one broken feature drowns the others.
CLIP = 50.0
DEVIATION_MIN = 1e-6


class Series:
    """One series of a dataset, read when asked for."""

    def __init__(self, dataset, record):
        self.dataset, self.set, self.name = pathlib.Path(dataset), record["set"], record["series"]
        self.path, self.n_train = record["path"], int(record["train_rows"])
        self.interval_s = record["interval_s"]

    def read(self):
        """`(rows, labels)`. Fit on `rows[:n_train]` only, without labels."""
        table = pd.read_csv(self.dataset / self.path)
        if table.columns[0] != "timestamp" or table.columns[-1] != "label":
            raise SystemExit(f"{self.path}: the first column must be `timestamp`, the last `label`")
        return table.iloc[:, 1:-1].to_numpy(dtype=float), table["label"].to_numpy()

    def seed(self, seed):
        """A seed of the series' own, so that their order doesn't matter."""
        return (seed * 1_000_003 + zlib.crc32(f"{self.set}/{self.name}".encode())) % 2**31


def read_dataset(dataset, sets=None):
    """The series of a dataset, of `sets` alone if given."""
    with open(pathlib.Path(dataset) / "manifest.json", encoding="utf-8") as file:
        records = json.load(file)
    return [Series(dataset, record) for record in records if not sets or record["set"] in sets]


def standardised(train, rows):
    """Rows in training deviations from the training mean, clipped. A feature that never moved in training has a tiny
    deviation instead of none, so that its first move is seen, and counts as much as the clip allows."""
    spread = np.maximum(train.std(axis=0), DEVIATION_MIN)
    return np.clip((rows - train.mean(axis=0)) / spread, -CLIP, CLIP)


def windows(rows, n_steps):
    """Each row of a single feature with those before it, `(n_rows, n_steps)`; before the first stands the first."""
    padded = np.concatenate([np.repeat(rows[:1], n_steps - 1, axis=0), rows])
    return np.lib.stride_tricks.sliding_window_view(padded[:, 0], n_steps)


def surprise(scores, n_train):
    """Raw scores → −ln of their tail probability among the training scores, in nats; NaN where there is no score.

    Empirical up to a high quantile, exponential by the mean excess beyond: homeostat's own votes are made the same way, so
    that peers are compared by what they see and not by the scale they report it on.
    """
    train = np.sort(scores[:n_train][np.isfinite(scores[:n_train])])
    if len(train) == 0:
        return np.full(len(scores), np.nan)
    edge = np.quantile(train, TAIL_QUANTILE)
    excess = train[train > edge] - edge
    above = len(train) - np.searchsorted(train, scores, side="left")
    nats = -np.log((above + 1.0) / (len(train) + 1.0))
    if len(excess) and excess.mean() > 0:
        at_edge = -np.log(1.0 - TAIL_QUANTILE)
        beyond = scores > edge
        nats[beyond] = at_edge + (scores[beyond] - edge) / excess.mean()
    # A mean excess of almost nothing would make one far row more surprising than a file of numbers can say.
    return np.where(np.isfinite(scores), np.minimum(nats, NATS_MAX), np.nan)


def smoothed(nats):
    """What of the surprises is beyond the dead zone, as the weighted sum of causal exponential averages over several half-lives (in rows)."""
    values = pd.Series(np.maximum(np.nan_to_num(nats) - DEAD_ZONE_NATS, 0.0))
    averages = (values.ewm(halflife=half_life, adjust=False).mean() for half_life in HALF_LIVES)
    return sum(weight * average for weight, average in zip(WEIGHTS, averages)).to_numpy()


def write_scores(scorer, doc, options=None):
    """The command of every adapter: `scorer(train_rows, all_rows, seed, args)` gives one score a row, higher is worse.

    `options(parser)` adds the adapter's own arguments. A scorer sees rows only, never a label, and its score of a row may
    hang on rows up to that one only.
    """
    args = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--dataset", "--pack", required=True, help="folder of the labelled dataset")
    args.add_argument("--out", required=True, type=pathlib.Path, help="folder for the scores")
    args.add_argument("--set", action="append", help="this set only; may be given several times")
    args.add_argument("--seed", type=int, default=1)
    args.add_argument("--smooth", action="store_true", help="the smoothing and, by a column `surprise`, the alert policy of homeostat's ensemble")
    if options:
        options(args)
    args = args.parse_args()
    for series in read_dataset(args.dataset, args.set):
        rows, _labels = series.read()
        scores = np.asarray(scorer(rows[: series.n_train], rows, series.seed(args.seed), args), dtype=float)
        if scores.shape != (len(rows),):
            raise SystemExit(f"{series.set}/{series.name}: {scores.shape} scores for {len(rows)} rows")
        columns = {"score": scores}
        if args.smooth:
            nats = surprise(scores, series.n_train)
            # The alert policy goes by rows, the ranking by their averages; as with homeostat's ensemble.
            columns = {"score": smoothed(nats), "surprise": nats}
        folder = args.out / series.set
        folder.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(columns).to_csv(folder / f"{series.name}.csv", index=False)
        print(f"{series.set}/{series.name}: {len(rows)} rows", file=sys.stderr, flush=True)
