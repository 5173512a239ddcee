"""Scores of scikit-learn's IsolationForest (100 trees of 256) on the raw features."""

import packs


def score(train, rows, seed, _args):
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, max_samples=min(256, len(train)), n_jobs=1, random_state=seed)
    return -forest.fit(train).score_samples(rows)


if __name__ == "__main__":
    packs.write_scores(score, __doc__)
