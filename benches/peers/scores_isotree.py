"""Scores of isotree's isolation forest (100 trees of 256, the paper's single-column splits) on the raw features."""

import datasets


def score(train, rows, seed, args):
    from isotree import IsolationForest

    forest = IsolationForest(
        ntrees=100, sample_size=min(256, len(train)), ndim=args.ndim, nthreads=1, random_seed=seed
    )
    return forest.fit(train).predict(rows)


def options(parser):
    parser.add_argument("--ndim", type=int, default=1, help="columns a split combines; 1 is the paper's forest")


if __name__ == "__main__":
    datasets.write_scores(score, __doc__, options)
