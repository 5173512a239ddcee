"""homeostat and its peers, side by side on one thread: prints `figure NAME VALUE UNIT` lines. Run it through `compare`.

Same rows for all, written once as raw little-endian f64; every contender is a process of its own with the same
protocol (drivers.py); they take turns, run by run (contest.py).
"""

import argparse
import os
import pathlib
import subprocess
import sys

import numpy as np

import contest

HERE = pathlib.Path(__file__).resolve().parent
N_ROWS = 100_000
# What a history of a week at one minute has; more rows don't change a fit's work, only its sampling.
FIT_ROWS = 10_000
# AWS's forest takes some 30 µs a row: as many rows as make a pass of a fraction of a second.
RCF_ROWS = 10_000
FEATURES = (10, 38)
KERNELS = ("auto", "avx512", "avx2", "portable")
WINDOWS = 64
SEED = 42


def write_rows(folder, n_features):
    """Correlated normal rows with a hundredth far out; the same bytes on every machine with the same numpy."""
    rng = np.random.default_rng(SEED)
    rows = rng.normal(size=(N_ROWS, n_features)) @ rng.normal(size=(n_features, n_features)) / n_features**0.5
    rows[rng.random(N_ROWS) < 0.01] *= 4.0
    paths = folder / f"rows-{n_features}f.f64", folder / f"fit-{n_features}f.f64"
    rows.astype("<f8").tofile(paths[0])
    rows[:FIT_ROWS].astype("<f8").tofile(paths[1])
    return paths


class Comparison:
    """Where everything is, and how often it runs."""

    def __init__(self, args):
        self.rounds, self.bin, self.rcf = args.rounds, pathlib.Path(args.bin), pathlib.Path(args.rcf)
        self.folder = pathlib.Path(args.work)
        self.folder.mkdir(parents=True, exist_ok=True)

    def ours(self, name, program, *argv, **options):
        return contest.Driver(name, [self.bin / program, *argv], **options)

    def our_forest(self, name, rows, n_features, *argv, **options):
        return self.ours(name, "forest_bench", "--rows", rows, "--f64", "--features", n_features, *argv, **options)

    def theirs(self, name, *argv, **options):
        return contest.Driver(name, [sys.executable, HERE / "drivers.py", *argv], **options)

    def forest(self, n_features):
        """All forests at `n_features` features; returns ratios and times, each `{figure name without features: value}`."""
        rows, fit_rows = write_rows(self.folder, n_features)
        suffix = f"{n_features}f"
        print(f"# isolation forests, 100 trees of 256 rows, {n_features} features", flush=True)
        ratios = self.forest_score(rows, n_features, suffix)
        times = self.forest_row(rows, n_features, suffix) | self.forest_fit(fit_rows, n_features, suffix)
        return ratios, times

    def forest_score(self, rows, n_features, suffix):
        ours = [
            self.our_forest(f"homeostat.{kernel}", rows, n_features, *([] if kernel == "auto" else ["--kernel", kernel]))
            for kernel in KERNELS
        ]
        names = ("sklearn", "isotree", "coniferest", "pyod_iforest", "pyod_ecod")
        peers = [self.theirs(name, name, "score", rows, n_features) for name in names]
        if (self.rcf / "RcfBench.class").exists():
            path = f"{self.rcf}/rcf.jar:{self.rcf}"
            # One collector thread: all are compared on one thread.
            java = ["java", "-XX:+UseSerialGC", "-Xmx1g", "-cp", path, "RcfBench", rows, n_features, RCF_ROWS]
            peers.append(contest.Driver("rcf", java))
        else:
            contest.skip("rcf", "not installed; run benches/peers/install")
        times = contest.alternate(ours + peers, self.rounds)
        # The time of all rows, for the one that scored fewer.
        if "rcf" in times:
            times["rcf"] = [took * N_ROWS / RCF_ROWS for took in times["rcf"]]
        for name, took in times.items():
            shown = name if name.startswith("homeostat") else f"peer.{name}"
            contest.figure(f"forest.score.rows_per_s.{shown}.{suffix}", [N_ROWS / ns * 1e9 for ns in took], "rows/s")
        ratios = {}
        for peer in (peer.name for peer in peers):
            for kernel in KERNELS:
                name = f"forest.score.vs_{peer}" + ("" if kernel == "auto" else f".{kernel}")
                found = contest.ratio(f"{name}.{suffix}", times.get(peer), times.get(f"homeostat.{kernel}"))
                if found is not None:
                    ratios[name] = found
        return ratios

    def forest_row(self, rows, n_features, suffix):
        drivers = [self.our_forest("homeostat", rows, n_features, "--one")]
        drivers += [self.theirs(name, name, "row", rows, n_features) for name in ("sklearn", "isotree", "coniferest")]
        times, medians = contest.alternate(drivers, self.rounds), {}
        if "homeostat" in times:  # its pass is all rows; the peers tell the time of one
            times["homeostat"] = [took / N_ROWS for took in times["homeostat"]]
        for name, took in times.items():
            shown = "forest.score.row_us" if name == "homeostat" else f"forest.score.row_us.peer.{name}"
            medians[shown] = contest.figure(f"{shown}.{suffix}", [ns / 1e3 for ns in took], "us")
        return {name: (median, "us") for name, median in medians.items() if name == "forest.score.row_us"}

    def forest_fit(self, rows, n_features, suffix):
        drivers = [self.our_forest("homeostat.fit", rows, n_features, line="fit")]
        names = ("sklearn", "isotree", "coniferest")
        drivers += [self.theirs(f"{name}.fit", name, "fit", rows, n_features) for name in names]
        times, medians = contest.alternate(drivers, self.rounds), {}
        for name, took in times.items():
            name = name.removesuffix(".fit")
            shown = "forest.fit_ms" if name == "homeostat" else f"forest.fit_ms.peer.{name}"
            medians[shown] = contest.figure(f"{shown}.{suffix}", [ns / 1e6 for ns in took], "ms")
        return {name: (median, "ms") for name, median in medians.items() if name == "forest.fit_ms"}

    def autoencoder(self):
        program, model = self.bin / "autoencoder_bench", self.folder / "autoencoder.onnx"
        if not program.exists():
            contest.skip("autoencoder", "the benches have no autoencoder_bench")
            return
        print(f"# autoencoder 600-64-16-64-600, {WINDOWS} windows a run, scaling in the graph", flush=True)
        subprocess.run([program, "export", model], check=True)
        # A run takes a tenth of a millisecond: many a round, and their median counts.
        drivers = [
            self.ours(backend, "autoencoder_bench", "serve", backend, per_round=101, env=native_library())
            for backend in ("embedded", "native")
        ]
        drivers.append(self.theirs("onnxruntime", "onnxruntime", model, WINDOWS, per_round=101))
        times = contest.alternate(drivers, self.rounds)
        for name, took in times.items():
            shown = f"peer.{name}" if name == "onnxruntime" else name
            contest.figure(f"autoencoder.window_us.{shown}", [ns / 1e3 / WINDOWS for ns in took], "us")
        for backend in ("embedded", "native"):
            contest.ratio(f"autoencoder.vs_onnxruntime.{backend}", times.get("onnxruntime"), times.get(backend))


def worst_of(found):
    """The figures without a number of features: the worse of both widths. They need no spread of their own."""
    ratios, times = zip(*found, strict=True)
    for name in ratios[0]:
        if all(name in found for found in ratios):
            print(f"figure {name} {contest.short(min(found[name] for found in ratios))} ratio", flush=True)
    for name, (_, unit) in times[0].items():
        if all(name in found for found in times):
            print(f"figure {name} {contest.short(max(found[name][0] for found in times))} {unit}", flush=True)


def native_library():
    """ONNX Runtime's library from the very package that the peer runs, so that both run the same code."""
    if "ORT_DYLIB_PATH" in os.environ:
        return {}
    try:
        import onnxruntime
    except ImportError:
        return {}
    found = sorted(pathlib.Path(onnxruntime.__file__).parent.glob("capi/libonnxruntime.so*"))
    return {"ORT_DYLIB_PATH": str(found[0])} if found else {}


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("--bin", required=True, help="folder of homeostat's bench programs")
    args.add_argument("--rcf", required=True, help="folder of AWS's forest")
    args.add_argument("--work", required=True, help="folder for the rows")
    args.add_argument("--rounds", type=int, default=7, help="runs of each contender (at least 5)")
    args.add_argument("--only", choices=("forest", "autoencoder", "auc"), help="this part alone")
    args.add_argument("--seeds", type=int, default=20, help="seeds of the AUC's means; chance moves the mean of five by 0.006")
    args.add_argument("--dataset", "--pack", type=pathlib.Path, help="also compare the AUC on this labelled dataset")
    args = args.parse_args()
    if args.rounds < 5:
        sys.exit("--rounds: a median of fewer than 5 runs says little")
    print(f"# {contest.machine()}; medians of {args.rounds} alternating runs, one thread", flush=True)
    comparison = Comparison(args)
    if args.only in (None, "forest"):
        worst_of([comparison.forest(n_features) for n_features in FEATURES])
    if args.only in (None, "autoencoder"):
        comparison.autoencoder()
    if args.dataset and args.only in (None, "auc"):
        import auc

        auc.compare(args.dataset, comparison.bin / "forest_scores", comparison.folder, args.seeds)
    elif args.only == "auc":
        sys.exit("--only auc needs --dataset DIR")


if __name__ == "__main__":
    main()
