"""Lets driver processes take turns, run by run, and says what came out: medians, and the spread beside each.

A ratio is taken within each round, so that whatever else the machine did in that round hits both sides; the figure is
the median of the rounds' ratios.
"""

import contextlib
import math
import os
import statistics
import subprocess
import sys
import tempfile

ONE_THREAD = {
    name: "1"
    for name in (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "RAYON_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    )
}


class Driver:
    """A process that does one pass for each line it is sent and answers `[kind] nanoseconds checksum`. It may say `ready`
    and what it likes before the first."""

    def __init__(self, name, argv, per_round=1, line="", env=None):
        self.name = name
        self.per_round = per_round
        self.line = line + "\n"
        # A file, not a pipe: nobody reads a pipe while the driver runs, and a full one would hang it.
        self.complaints = tempfile.TemporaryFile("w+")
        self.checksum = None
        self.process = None
        try:
            self.process = subprocess.Popen(
                [str(arg) for arg in argv],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.complaints,
                text=True,
                env=os.environ | ONE_THREAD | (env or {}),
            )
        except OSError as error:
            self.complaints.write(str(error))

    def round_ns(self):
        """The median time of this round's passes; None when the driver has gone, and then `why` tells it."""
        times = []
        for _ in range(self.per_round):
            took = self._pass_ns() if self.process else None
            if took is None:
                return None
            times.append(took)
        return statistics.median(times)

    def _pass_ns(self):
        try:
            self.process.stdin.write(self.line)
            self.process.stdin.flush()
            answer = self.process.stdout.readline().split()
            if answer[:1] == ["ready"]:
                answer = self.process.stdout.readline().split()
        except BrokenPipeError:
            answer = []
        if not answer:
            return None
        # A driver that can do more than one kind of pass says first which it did.
        took, *checksum = answer if answer[0].isdigit() else answer[1:]
        # The same pass gives the same result; if not, the time means nothing.
        if self.checksum is not None and checksum != self.checksum:
            raise SystemExit(f"{self.name}: another result in another pass: {self.checksum}, then {checksum}")
        self.checksum = checksum
        return int(took)

    def why(self):
        """The last line it complained with."""
        code = self.process.wait() if self.process else None
        self.complaints.seek(0)
        lines = self.complaints.read().strip().splitlines()
        return lines[-1] if lines else f"it ended with code {code}"

    def close(self):
        """Ends it: its standard input does."""
        if self.process:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
            self.process.wait()
            self.process.stdout.close()
        self.complaints.close()


def alternate(drivers, n_rounds, n_warm_up=2):
    """Nanoseconds of each round by driver name. A driver that gives up is left out, and its reason printed."""
    running, times = list(drivers), {driver.name: [] for driver in drivers}
    try:
        for round_idx in range(n_warm_up + n_rounds):
            # Every round begins with another one, so that nobody always runs after the slowest.
            shift = round_idx % max(len(running), 1)
            for driver in running[shift:] + running[:shift]:
                took = driver.round_ns()
                if took is None:
                    running.remove(driver)
                    del times[driver.name]
                    skip(driver.name, driver.why())
                elif round_idx >= n_warm_up:
                    times[driver.name].append(took)
    finally:
        for driver in drivers:
            driver.close()
    return times


def skip(name, why):
    print(f"SKIP {name}: {why}", flush=True)


def figure(name, values, unit):
    """Prints the median as a figure and the spread beside it; returns the median."""
    median = statistics.median(values)
    print(f"figure {name} {short(median)} {unit}")
    print(f"spread {name} {short(min(values))} {short(max(values))} {len(values)}", flush=True)
    return median


def ratio(name, theirs, ours):
    """How many times as long they take, or None when one of the two isn't there."""
    if not theirs or not ours:
        return None
    median = figure(name, [their / our for their, our in zip(theirs, ours, strict=True)], "ratio")
    # Other work only ever adds time: on a busy machine the least times say most.
    print(f"least {name} {short(min(theirs) / min(ours))}", flush=True)
    return median


def short(value):
    """Four significant digits, never in exponents."""
    if value == 0:
        return "0"
    return f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}"


def signed(value):
    """A difference, with its sign."""
    return f"{value:+.4f}"


def machine():
    """One line on the machine, for the record."""
    model, flags = "unknown CPU", ""
    try:
        for line in open("/proc/cpuinfo", encoding="utf-8"):
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
            if line.startswith("flags"):
                flags = line
    except OSError:
        pass
    widest = next((name for flag, name in (("avx512f", "AVX-512"), ("avx2", "AVX2")) if f" {flag} " in flags), "no AVX2")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return f"{model}, {widest}, {os.cpu_count()} CPUs, load {load:.1f}"


if __name__ == "__main__":
    sys.exit("contest.py is what compare.py is made of; run `compare`")
