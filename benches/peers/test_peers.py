"""Tests of what the comparison rests on. Run: $(benches/peers/install --venv)/bin/python -m unittest discover benches/peers"""

import argparse
import contextlib
import importlib.machinery
import importlib.util
import io
import math
import pathlib
import sys
import unittest

import numpy as np

import auc
import contest
import datasets
import scores_isotree
import scores_pyod
import scores_sklearn
import scores_statistics

HERE = pathlib.Path(__file__).resolve().parent

# A driver whose passes take 3 ns, and one that changes its mind.
STEADY = "import sys\nprint('ready', 1)\nsys.stdout.flush()\nfor _ in sys.stdin: print('score 3 1.5', flush=True)"
FICKLE = "import sys\nfor n, _ in enumerate(sys.stdin): print(3, n, flush=True)"


def record():
    loader = importlib.machinery.SourceFileLoader("record", str(HERE.parent / "record"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("record", loader))
    loader.exec_module(module)
    return module


def quietly(call, *args):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        found = call(*args)
    return found, out.getvalue()


class Adapters(unittest.TestCase):
    def test_no_score_hangs_on_later_rows(self):
        rng = np.random.default_rng(7)
        wave = np.sin(np.arange(600) / 50 * math.tau)[:, None]
        for n_features in (1, 4):
            # Features that mostly move together, so that there are components to leave out.
            rows = wave + rng.normal(size=(600, 1)) + 0.1 * rng.normal(size=(600, n_features))
            later = np.concatenate([rows[:500], rows[500:] * 9 + 4])
            for scorer, options in (
                (scores_sklearn.score, {"model": "forest"}),
                (scores_sklearn.score, {"model": "pca", "window": 20}),
                (scores_isotree.score, {"ndim": 1}),
                (scores_pyod.score, {"model": "ecod"}),
                (scores_pyod.score, {"model": "pca", "window": 20}),
                (scores_statistics.score, {"method": "residual", "window": 20}),
                (scores_statistics.score, {"method": "seasonal_naive", "season": 0}),
            ):
                with self.subTest(scorer=scorer.__module__, n_features=n_features, **options):
                    args = argparse.Namespace(**options)
                    one, other = (np.asarray(scorer(all_rows[:300], all_rows, 3, args)) for all_rows in (rows, later))
                    np.testing.assert_allclose(one[:500], other[:500], rtol=1e-9)
                    self.assertFalse(np.allclose(one[500:], other[500:]), "the score sees the rows it's for")
                    smooth = [datasets.smoothed(datasets.surprise(scores, 300))[:500] for scores in (one, other)]
                    np.testing.assert_allclose(*smooth, rtol=1e-9, atol=1e-12)

    def test_the_season_is_found(self):
        wave = np.sin(np.arange(1_000) / 48 * math.tau)[:, None]
        self.assertEqual(scores_statistics.strongest_period(wave) % 48, 0)

    def test_surprise_grows_with_the_score_beyond_training_and_everyday_scores_have_none(self):
        train = np.random.default_rng(1).exponential(size=5_000)
        found = datasets.surprise(np.concatenate([train, [0.5, 1.0, 10.0, 20.0]]), 5_000)[-4:]
        self.assertTrue(all(0 < nats < datasets.DEAD_ZONE_NATS for nats in found[:2]), found[:2])
        # An exponential's −ln tail is the score itself.
        self.assertAlmostEqual(found[2], 10.0, delta=1.5)
        self.assertGreater(found[3], found[2] + 5)

    def test_smoothing_is_the_weighted_sum_of_exponential_averages(self):
        found = datasets.smoothed(datasets.DEAD_ZONE_NATS + np.array([-1.0, 1.0, -2.0]))
        shares = [1 - 0.5 ** (1 / half_life) for half_life in datasets.HALF_LIVES]
        self.assertAlmostEqual(found[1], sum(weight * share for weight, share in zip(datasets.WEIGHTS, shares)))
        self.assertAlmostEqual(found[2], sum(weight * share * (1 - share) for weight, share in zip(datasets.WEIGHTS, shares)))


class Measures(unittest.TestCase):
    def test_auc_agrees_with_scikit_learn_ties_included(self):
        from sklearn.metrics import roc_auc_score

        rng = np.random.default_rng(5)
        labels, scores = rng.integers(0, 2, 500), rng.integers(0, 40, 500).astype(float)
        self.assertAlmostEqual(auc.roc_auc(labels, scores), roc_auc_score(labels, scores), places=12)

    def test_figures_have_four_digits_and_no_exponent(self):
        shown = [contest.short(value) for value in (0, 0.00012345, 0.7474, 5.5641, 123456.7)]
        self.assertEqual(shown, ["0", "0.0001234", "0.7474", "5.564", "123457"])


class Contest(unittest.TestCase):
    def test_one_that_is_not_there_is_left_out_loudly_and_the_others_go_on(self):
        drivers = [contest.Driver("steady", [sys.executable, "-c", STEADY]), contest.Driver("absent", ["/nowhere"])]
        times, printed = quietly(contest.alternate, drivers, 5)
        self.assertEqual(times, {"steady": [3] * 5})
        self.assertIn("SKIP absent: ", printed)

    def test_another_result_in_another_pass_stops_the_comparison(self):
        with self.assertRaisesRegex(SystemExit, "another result"):
            contest.alternate([contest.Driver("fickle", [sys.executable, "-c", FICKLE])], 5)

    def test_a_ratio_is_the_median_of_the_rounds_ratios(self):
        found, printed = quietly(contest.ratio, "x", [10, 40, 90], [1, 2, 3])
        self.assertEqual(found, 20)
        self.assertEqual(printed, "figure x 20.00 ratio\nspread x 10.00 30.00 3\nleast x 10.00\n")


class Record(unittest.TestCase):
    def test_a_log_becomes_a_table_that_says_what_was_met_and_what_was_left_out(self):
        log = ["# a machine", "figure a.us 1.5 us", "spread a.us 1.4 1.9 5", "figure b 3 ratio", "least b 3.5", "SKIP c: gone", "noise"]
        module = record()
        wanted = module.targets("# remark\na.us\t<=\t1\nb\twithin\t2..4\n")
        made = module.section("2026-01-31", "it", "abc", module.read(log), wanted)
        self.assertIn("| `a.us` | 1.5 | us | 1.4 – 1.9 (5) |  | ≤ 1 | **no** |", made)
        self.assertIn("| `b` | 3 | ratio |  | 3.5 | 2–4 | yes |", made)
        self.assertIn("- left out: c: gone", made)
        self.assertNotIn("noise", made)

    def test_the_first_table_has_the_newest_value_of_what_must_reach_something(self):
        sections = "## 2026-02-02\n\n`new` at commit b\n\n| `a.s` | 3 | s |\n\n## 2026-01-01\n\n`old` at commit a\n\n| `a.s` | 1 | s |\n| `free` | 9 | s |\n"
        table = record().newest(sections, [("a.s", "<=", [2.0])])
        self.assertIn("| `a.s` | 3 | s | ≤ 2 | **no** | 2026-02-02 | `new` |", table)
        self.assertNotIn("free", table)
        self.assertEqual(table.count("a.s"), 1)

    def test_the_targets_can_be_read(self):
        self.assertGreater(len(record().targets((HERE.parent / "targets.tsv").read_text(encoding="utf-8"))), 15)


if __name__ == "__main__":
    unittest.main()
