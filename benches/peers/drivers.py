"""The Python peers behind the drivers' protocol: prepare, then one pass for each line on standard input, answered by
`nanoseconds checksum`.

    drivers.py sklearn|isotree|coniferest|pyod_iforest|pyod_ecod score|fit|row ROWS.f64 N_FEATURES
    drivers.py onnxruntime MODEL.onnx BATCH

A pass of `score` scores all rows; of `fit` fits on all rows; of `row` scores rows one by one and tells the time of one.
Every forest has 100 trees of at most 256 rows, one thread, and its input in the form it is fastest on: only the call
itself is timed.
"""

import sys
import time

import numpy as np

# Rows that what is slow to fit is fitted on; the forests sample 256 of all.
ECOD_FIT_ROWS = 4096
# Rows of a pass of single rows. A call costs scikit-learn milliseconds and the others microseconds.
SINGLE_ROWS = {"sklearn": 20, "isotree": 500, "coniferest": 200}
SEED = 42


def sklearn(rows):
    from sklearn.ensemble import IsolationForest

    # Its trees work on float32 and would convert float64 within the timed call.
    forest = IsolationForest(n_estimators=100, max_samples=256, n_jobs=1, random_state=SEED)
    return np.ascontiguousarray(rows, dtype=np.float32), forest.fit, lambda x: -forest.score_samples(x)


def isotree(rows):
    from isotree import IsolationForest

    # ndim=1 is the isolation forest of the paper. `missing_action="fail"` spares it the look for holes.
    forest = IsolationForest(ntrees=100, sample_size=256, ndim=1, nthreads=1, random_seed=SEED, missing_action="fail")
    return rows, forest.fit, forest.predict


def coniferest(rows):
    from coniferest.isoforest import IsolationForest

    forest = IsolationForest(n_trees=100, n_subsamples=256, n_jobs=1, random_seed=SEED)
    return np.ascontiguousarray(rows, dtype=np.float32), forest.fit, lambda x: -forest.score_samples(x)


def pyod_iforest(rows):
    from pyod.models.iforest import IForest

    forest = IForest(n_estimators=100, max_samples=256, n_jobs=1, random_state=SEED)
    # Its fit also scores the training rows, so it gets few.
    return rows, lambda x: forest.fit(x[:ECOD_FIT_ROWS]), forest.decision_function


def pyod_ecod(rows):
    from pyod.models.ecod import ECOD

    detector = ECOD(n_jobs=1)
    return rows, lambda x: detector.fit(x[:ECOD_FIT_ROWS]), detector.decision_function


PEERS = {peer.__name__: peer for peer in (sklearn, isotree, coniferest, pyod_iforest, pyod_ecod)}


def tabular(peer, kind, path, n_features):
    """A pass of `kind`: returns nanoseconds and a checksum."""
    rows, fit, score = PEERS[peer](np.fromfile(path, dtype="<f8").reshape(-1, n_features))

    def fit_pass():
        # A new one each time: some go on with their random numbers where the last fit ended.
        _, fit, score = PEERS[peer](rows)
        began = time.perf_counter_ns()
        fit(rows)
        took = time.perf_counter_ns() - began
        return took, float(np.sum(score(rows[:1])))

    def score_pass():
        began = time.perf_counter_ns()
        scores = score(rows)
        return time.perf_counter_ns() - began, float(np.sum(scores))

    def row_pass():
        n_rows, total = SINGLE_ROWS[peer], 0.0
        began = time.perf_counter_ns()
        for idx in range(n_rows):
            total += float(score(rows[idx : idx + 1])[0])
        return (time.perf_counter_ns() - began) // n_rows, total

    if kind != "fit":
        fit(rows)
    return {"fit": fit_pass, "score": score_pass, "row": row_pass}[kind]


def onnxruntime(path, n_windows):
    """A pass is one run of one batch."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    n_columns = entry.shape[-1]
    batch = np.random.default_rng(SEED).normal(size=(n_windows, n_columns)).astype(np.float32)

    def run_pass():
        began = time.perf_counter_ns()
        (out, *_) = session.run(None, {entry.name: batch})
        return time.perf_counter_ns() - began, float(np.sum(out))

    return run_pass


def main(args):
    if args[0] == "onnxruntime":
        run = onnxruntime(args[1], int(args[2]))
    else:
        run = tabular(args[0], args[1], args[2], int(args[3]))
    for _ in sys.stdin:
        took, checksum = run()
        print(took, checksum, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
