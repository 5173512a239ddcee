"""Scores of plain statistics, which every detector should beat.

residual        distance from the mean of the previous rows (20 unless --window), over its training deviation
seasonal_naive  distance from the row one season earlier (--season; else the strongest period of the training rows)

A row's score is the root mean square over its features.
"""

import numpy as np
import pandas as pd

import datasets


def residual(train, rows, window):
    table = pd.DataFrame(rows)
    return energy((table - table.shift(1).rolling(window, min_periods=1).mean()).to_numpy(), len(train))


def seasonal_naive(train, rows, season):
    season = season or strongest_period(train)
    before = np.full_like(rows, np.nan)
    before[season:] = rows[:-season]
    return energy(rows - before, len(train))


def energy(residuals, n_train):
    train = np.nan_to_num(residuals[:n_train])
    spread = np.maximum(train.std(axis=0), datasets.DEVIATION_MIN)
    return np.sqrt((np.nan_to_num(residuals / spread) ** 2).mean(axis=1))


def strongest_period(train):
    """The lag of the highest peak of the autocorrelation, summed over features, up to a third of the training rows."""
    n_rows = len(train)
    spread = train.std(axis=0)
    centred = (train - train.mean(axis=0))[:, spread > 0] / spread[spread > 0]
    if centred.shape[1] == 0:
        return 1
    power = (np.abs(np.fft.rfft(centred, 2 * n_rows, axis=0)) ** 2).sum(axis=1)
    correlation = np.fft.irfft(power)[: n_rows // 3]
    # A biased estimate falls with the lag; undone, so that a day isn't weaker than an hour for being longer.
    correlation /= n_rows - np.arange(len(correlation))
    inner = correlation[1:-1]
    peaks = np.flatnonzero((inner > correlation[:-2]) & (inner >= correlation[2:])) + 1
    peaks = peaks[peaks >= 3]
    return int(peaks[np.argmax(correlation[peaks])]) if len(peaks) else 1


def score(train, rows, _seed, args):
    rows = datasets.standardised(train, rows)
    train = rows[: len(train)]
    if args.method == "residual":
        return residual(train, rows, args.window)
    return seasonal_naive(train, rows, args.season)


def options(parser):
    parser.add_argument("--method", choices=("residual", "seasonal_naive"), required=True)
    parser.add_argument("--window", type=int, default=20, help="rows that `residual` compares with")
    parser.add_argument("--season", type=int, default=0, help="rows of a season for `seasonal_naive`; 0 finds it")


if __name__ == "__main__":
    datasets.write_scores(score, __doc__, options)
