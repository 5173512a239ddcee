#!/usr/bin/env python3
"""Draws the pictures of docs/guides/incidents.md: what homeostat calls an incident, and what it doesn't.

    docs/pictures/draw.py --homeostat target/release/homeostat [--output DIR | --check] [NAME...]

For each picture it makes two weeks of history and some days more, at one row a minute, trains and scores with the given
program as a user would, and draws what the scores say. Nothing in a picture is made up: calls and open incidents are the
columns `alert` and `open` of `homeostat score`. It prints when somebody is called. The same program gives the same files.
With `--check` it writes nothing, and fails where a picture, or a call that the guide names under it, isn't what the program says.
It needs Python 3.9 or newer, nothing else.
"""
import argparse
import csv
import math
import random
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from html import escape
from pathlib import Path

HERE = Path(__file__).resolve().parent
GUIDE = HERE.parent / "guides" / "incidents.md"
MINUTES_PER_DAY = 1440
HISTORY_DAYS = 14
MONDAY = datetime(2026, 3, 2, tzinfo=timezone.utc)
THURSDAY = MONDAY + timedelta(days=3)


# ------------------------------------------------------------------------------------------------------ the scenes

@dataclass
class Band:
    """A stretch of time with a name; days and hours count from the first day that is shown."""
    text: str
    day: int
    hour: float
    lasts_hours: float

    def minutes(self):
        start = round(self.day * MINUTES_PER_DAY + self.hour * 60)
        return start, start + round(self.lasts_hours * 60)


@dataclass
class Scene:
    """`make(rng, minutes, faults, harmless)` gives the values of each feature; minutes before 0 are history."""
    name: str
    about: str
    shown: str          # the feature that is drawn
    label: str          # what it is called in the picture
    unit: str
    features: dict      # feature -> what its query says beside `expr`
    make: object
    faults: list
    days: int
    top: float          # the highest value on the axis
    ticks: tuple
    starts: datetime = MONDAY
    limit: float = None
    harmless: list = field(default_factory=list)  # what is named, too, though nothing is wrong with it

    @property
    def first_shown(self):
        return self.starts + timedelta(days=HISTORY_DAYS)


def wave(minute, peak_hour=14.4):
    """From 0 to 1 and back in a day."""
    return 0.5 + 0.5 * math.cos(2 * math.pi * (minute / 60 - peak_hour) / 24)


def noise(rng, n, kept=0.7):
    """Noise of deviation 1, each row of which keeps a share of the one before."""
    fresh, last, rows = math.sqrt(1 - kept * kept), rng.gauss(0, 1), []
    for _ in range(n):
        last = kept * last + fresh * rng.gauss(0, 1)
        rows.append(last)
    return rows


def within(minute, band):
    start, end = band.minutes()
    return start <= minute < end


def nightly_job(rng, minutes, faults, _harmless):
    cpu = [0.25 + 0.1 * wave(m) + 0.02 * n for m, n in zip(minutes, noise(rng, len(minutes)))]
    runs = [day * MINUTES_PER_DAY + 120 + rng.uniform(0, 1.5) for day in range(-HISTORY_DAYS, 7)]
    lasts = [20 + rng.gauss(0, 1) for _ in runs]
    runs, lasts = [*runs, faults[0].minutes()[0]], [*lasts, 20]
    for row, minute in enumerate(minutes):
        if any(run <= minute < run + last for run, last in zip(runs, lasts)):
            cpu[row] += 1.5 * (1 + 0.03 * rng.gauss(0, 1))
    return {"cpu": cpu}


def fourth_replica(_rng, minutes, _faults, harmless):
    return {"replicas": [4 if within(m, harmless[0]) else 3 for m in minutes]}


def slow_service(rng, minutes, faults, _harmless):
    n = len(minutes)
    load = [40 * (0.3 + wave(m)) * (1 + 0.05 * x) for m, x in zip(minutes, noise(rng, n))]
    slower = [2 if within(m, faults[0]) else 1 for m in minutes]
    return {
        "traffic": load,
        "latency": [80 * (1 + x / 200) * f * math.exp(0.15 * rng.gauss(0, 1)) for x, f in zip(load, slower)],
        "error-ratio": [rng.uniform(0, 0.02) if rng.random() < 0.02 else 0 for _ in range(n)],
        "cpu": [0.01 * x * (1 + 0.05 * rng.gauss(0, 1)) for x in load],
        "memory": [300 + 0.7 * x + 3 * y for x, y in zip(load, noise(rng, n, 0.95))],
        "restarts": [0] * n,
    }


def no_morning(rng, minutes, faults, _harmless):
    (start, end), traffic = faults[0].minutes(), []
    for minute, n in zip(minutes, noise(rng, len(minutes))):
        usual = 0.3 + wave(start if start <= minute < end else minute)
        traffic.append(100 * usual * (1 + 0.05 * n))
    return {"traffic": traffic}


def office_hours(rng, minutes, faults, _harmless):
    traffic = []
    for minute, n in zip(minutes, noise(rng, len(minutes))):
        weekday = (minute // MINUTES_PER_DAY + THURSDAY.weekday()) % 7
        busy = weekday < 5 and 480 <= minute % MINUTES_PER_DAY < 1080
        surge = 2.5 if within(minute, faults[0]) else 1
        traffic.append((100 if busy else 10) * surge * (1 + 0.04 * n))
    return {"traffic": traffic}


def memory_leak(rng, minutes, faults, _harmless):
    (start, end), memory = faults[0].minutes(), []
    for minute, n in zip(minutes, noise(rng, len(minutes), 0.9)):
        leaked = 0.54 * (minute - start) / (end - start) if start <= minute < end else 0
        memory.append(min(0.45 + 0.03 * wave(minute) + 0.008 * n + leaked, 1))
    return {"memory": memory}


SCENES = [
    Scene("nightly-job", "A job at 02:00 each night; on Thursday the same job also runs at 14:00.", "cpu", "CPU", "cores",
          {"cpu": "signal: cpu"}, nightly_job, [Band("the job at 14:00", 3, 14, 1 / 3)], 5, 2.2, (0, 1, 2),
          harmless=[Band("the job at 02:00, each night" if day == 0 else "", day, 2, 1 / 3) for day in range(5)]),
    Scene("fourth-replica", "Three replicas, and from Tuesday 10:15 on four, for good.", "replicas", "replicas", "",
          {"replicas": "signal: other"}, fourth_replica, [], 5, 5, (0, 3, 4),
          harmless=[Band("a fourth replica, for good", 1, 10.25, 24 * 4 - 10.25)]),
    Scene("slow-service", "A service of six features, whose latency doubles for half an hour on Wednesday.", "latency",
          "latency", "ms",
          {"traffic": "signal: traffic", "latency": "signal: latency, direction: up",
           "error-ratio": "signal: error-ratio, direction: up", "cpu": "signal: cpu", "memory": "signal: memory",
           "restarts": "signal: restarts, direction: up"},
          slow_service, [Band("twice as slow for 30 minutes", 2, 10.2, 0.5)], 3, 300, (0, 100, 200)),
    Scene("no-morning", "Traffic that stays at the night's level on Wednesday until 14:00.", "traffic", "traffic", "req/s",
          {"traffic": "signal: traffic"}, no_morning, [Band("no morning", 2, 3.5, 10.5)], 4, 160, (0, 50, 100)),
    Scene("office-hours", "Office hours and quiet weekends; on Tuesday a surge.", "traffic", "traffic", "req/s",
          {"traffic": "signal: traffic"}, office_hours, [Band("a surge", 5, 11, 0.5)], 7, 300, (0, 100, 200), THURSDAY,
          harmless=[Band("the weekend", 2, 0, 48)]),
    Scene("memory-leak", "Memory that leaks from Tuesday 18:00 on and is at its limit 72 hours later.", "memory",
          "memory", "share", {"memory": "signal: memory, direction: up, limit: 1"}, memory_leak,
          [Band("a leak, until it is killed", 1, 18, 72)], 6, 1.2, (0, 0.5), limit=1),
]


# --------------------------------------------------------------------------------------- training and scoring them

def write(scene, folder):
    """history.csv, days.csv and homeostat.yaml; gives the values of the feature that is drawn."""
    rng = random.Random(scene.name)
    minutes = range(-HISTORY_DAYS * MINUTES_PER_DAY, scene.days * MINUTES_PER_DAY)
    columns = scene.make(rng, minutes, scene.faults, scene.harmless)
    for file, rows in (("history.csv", range(-minutes.start)), ("days.csv", range(-minutes.start, len(minutes)))):
        with open(folder / file, "w", newline="") as out:
            table = csv.writer(out)
            table.writerow(["timestamp", "namespace", "workload", *columns])
            for row in rows:
                moment = scene.first_shown + timedelta(minutes=minutes[row])
                table.writerow([f"{moment:%Y-%m-%dT%H:%M:%SZ}", "shop", "cart", *(f"{y[row]:.6g}" for y in columns.values())])
    queries = "".join(f"  {name}: {{expr: {name.replace('-', '_')}, {said}}}\n" for name, said in scene.features.items())
    (folder / "homeostat.yaml").write_text(
        'datasources: [{url: "http://127.0.0.1:9090"}]    # not asked: the rows come from files\n'
        f"global: {{step: 60s, history: {HISTORY_DAYS}d}}\nqueries:\n{queries}"
    )
    return columns[scene.shown][-minutes.start:]


def scores(program, folder):
    """The rows of `homeostat score`, as dictionaries."""
    for command in (
        ["train", "history.csv", "--config.file", "homeostat.yaml", "--output", "models", "--source-date-epoch", "0"],
        ["score", "days.csv", "--config.file", "homeostat.yaml", "--bundle", "models", "--output", "scores.csv"],
    ):
        done = subprocess.run([program, *command], cwd=folder, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"`homeostat {command[0]}` failed with exit code {done.returncode}:\n{done.stderr.strip()}")
    with open(folder / "scores.csv", newline="") as file:
        return list(csv.DictReader(file))


# ------------------------------------------------------------------------------------------------------- drawing

# In pixels of the drawing, which is shown from 400 to 800 pixels wide.
WIDTH, LEFT, RIGHT = 600, 56, 8
METRIC = (28, 144)    # top and bottom of the upper panel
CALLS = (148, 170)    # of the strip between them
SCORES = (182, 290)   # of the lower one
LEGEND = 330          # the baseline of its first line
HEIGHT = 362
COLUMNS = WIDTH - LEFT - RIGHT
LOWEST_SCORE = 0.1    # what is below lies on the bottom line

# The colours of the HTML report. The paper is painted: a page may be dark where the system is light.
STYLE = (
    ":root{--ink:#1b1f24;--soft:#6b7280;--line:#d8dce2;--paper:#fff;--fault:#f5b7b1;--alert:#c0392b;--score:#b9770e;--signal:#2e5f8a;--lasting:#8e44ad}"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e8eb;--soft:#9aa3ad;--line:#353b43;--paper:#14171a;--fault:#6e2c26;"
    "--alert:#ff7a66;--score:#f0b24a;--signal:#7db4e6;--lasting:#bb8fce}}"
    "text{font:14px system-ui,sans-serif;fill:var(--soft)}.ink{fill:var(--ink)}.paper{fill:var(--paper)}.grid{stroke:var(--line)}"
    ".line{fill:none;stroke-linejoin:round}.signal{stroke:var(--signal)}.score{stroke:var(--score);stroke-width:1.3}"
    ".lasting{stroke:var(--lasting);stroke-width:1.3}.even{stroke:var(--ink);stroke-dasharray:5 4}.fault{fill:var(--fault)}"
    ".harmless{fill:var(--line)}.open{fill:var(--alert);opacity:.22}.call{fill:var(--alert)}"
)


def number(value):
    return f"{value:.1f}".rstrip("0").rstrip(".") if abs(value) >= 0.05 else "0"


class Drawing:
    def __init__(self, scene):
        self.scene, self.parts = scene, []

    def x(self, minute):
        return LEFT + minute / (self.scene.days * MINUTES_PER_DAY) * COLUMNS

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, text, anchor="start", kind=""):
        kind = f' class="{kind}"' if kind else ""
        self.add(f'<text x="{number(x)}" y="{number(y)}" text-anchor="{anchor}"{kind}>{escape(text)}</text>')

    def rect(self, kind, x1, x2, panel, least=2.0):
        width = max(x2 - x1, least)
        self.add(f'<rect class="{kind}" x="{number(x1)}" y="{panel[0]}" width="{number(width)}" height="{panel[1] - panel[0]}"/>')

    def line(self, kind, x1, y1, x2, y2):
        self.add(f'<line class="{kind}" x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"/>')

    def columns(self, values):
        """The values of each column of pixels; None is a gap."""
        n = len(values)
        for column in range(COLUMNS):
            rows = values[column * n // COLUMNS:max((column + 1) * n // COLUMNS, column * n // COLUMNS + 1)]
            yield [value for value in rows if value is not None]

    def path(self, kind, values, y, highest_only=False):
        """A line that covers, in each column of pixels, all from the lowest to the highest value."""
        steps, last = [], None
        for column, rows in enumerate(self.columns(values)):
            if not rows:
                last = None
                continue
            ends = [y(max(rows))] if highest_only else sorted({y(min(rows)), y(max(rows))})
            ends = [round(end, 1) for end in ends]
            if last is None:
                steps.append(f"M{LEFT + column} {number(ends[0])}")
                last = ends[0]
            elif highest_only:
                steps.append(f"l1 {number(round(ends[0] - last, 1))}")
                last = ends[0]
                continue
            else:
                steps.append("h1")
            if abs(ends[-1] - last) < abs(ends[0] - last):
                ends.reverse()
            for end in ends:
                if end != last:
                    steps.append(f"v{number(round(end - last, 1))}")
                last = end
        self.add(f'<path class="line {kind}" d="{"".join(steps)}"/>')


def runs(flags):
    """[start, end) of each run of true flags."""
    start = None
    for at, flag in enumerate([*flags, False]):
        if flag and start is None:
            start = at
        elif not flag and start is not None:
            yield start, at
            start = None


def middle(drawing, band):
    """Where a band's label has room."""
    start, end = (drawing.x(minute) for minute in band.minutes())
    half = 3.6 * len(band.text)  # a letter is some 7 pixels wide
    return min(max((start + end) / 2, LEFT + half), WIDTH - RIGHT - half)


def draw(scene, values, rows):
    drawing = Drawing(scene)
    calls = [at for at, row in enumerate(rows) if row["alert"] == "1"]
    is_open = [row["open"] == "1" for row in rows]
    score, lasting = ([float(row[name]) if row[name] else None for row in rows] for name in ("score", "lasting_score"))
    highest = max(value for value in [*score, *lasting, 10] if value is not None)
    decades = (math.log10(LOWEST_SCORE), math.ceil(math.log10(highest) - 1e-9))

    def metric_y(value):
        return METRIC[1] - min(value / scene.top, 1) * (METRIC[1] - METRIC[0])

    def score_y(value):
        share = (math.log10(max(value, LOWEST_SCORE)) - decades[0]) / (decades[1] - decades[0])
        return SCORES[1] - share * (SCORES[1] - SCORES[0])

    for kind, bands in (("harmless", scene.harmless), ("fault", scene.faults)):
        for band in bands:
            drawing.rect(kind, *(drawing.x(minute) for minute in band.minutes()), METRIC)
            if band.text:
                drawing.text(middle(drawing, band), METRIC[0] - 9, band.text, "middle", "ink")
    for start, end in runs(is_open):
        drawing.rect("open", drawing.x(start), drawing.x(end), (CALLS[0], SCORES[1]))

    for day in range(scene.days + 1):
        x = drawing.x(day * MINUTES_PER_DAY)
        drawing.line("grid", x, METRIC[0], x, METRIC[1])
        drawing.line("grid", x, SCORES[0], x, SCORES[1])
        if day < scene.days:
            moment = scene.first_shown + timedelta(days=day)
            drawing.text(drawing.x((day + 0.5) * MINUTES_PER_DAY), SCORES[1] + 16, f"{moment:%a} {moment.day}", "middle")
    for value in scene.ticks:
        drawing.line("grid", LEFT, metric_y(value), WIDTH - RIGHT, metric_y(value))
        drawing.text(LEFT - 6, metric_y(value) + 5, f"{value:g}", "end")
    drawing.text(LEFT - 6, METRIC[0] - 9, scene.unit, "end")
    if scene.limit is not None:
        drawing.line("even", LEFT, metric_y(scene.limit), WIDTH - RIGHT, metric_y(scene.limit))
        drawing.text(LEFT - 6, metric_y(scene.limit) + 5, "limit", "end", "ink")
    for decade in range(math.floor(decades[0]), decades[1] + 1):
        y = score_y(10.0 ** decade)
        drawing.line("even" if decade == 0 else "grid", LEFT, y, WIDTH - RIGHT, y)
        if decade in (0, 1, decades[1]) or decades[1] < 4:
            drawing.text(LEFT - 6, y + 5, f"{10 ** (decade - 3)}k" if decade > 3 else f"{10.0 ** decade:g}", "end", "ink" if decade == 0 else "")
    drawing.text(LEFT - 6, CALLS[0] + 16, "calls", "end")

    drawing.path("signal", values, metric_y)
    drawing.path("lasting", lasting, score_y, highest_only=True)
    drawing.path("score", score, score_y, highest_only=True)
    for call in calls:
        x = drawing.x(call)
        drawing.add(f'<path class="call" d="M{number(x - 6)} {CALLS[0] + 3}h12l-6 13z"/>')
    if not calls:
        drawing.text((LEFT + WIDTH - RIGHT) / 2, CALLS[0] + 16, "nobody is called", "middle", "ink")
    legend(drawing)
    return svg(drawing, f"{scene.about} {told(scene, calls)}"), calls


def legend(drawing):
    first, second = LEGEND, LEGEND + 21
    drawing.line("signal", LEFT, first - 5, LEFT + 22, first - 5)
    drawing.text(LEFT + 28, first, drawing.scene.label)
    drawing.line("score", LEFT + 112, first - 5, LEFT + 134, first - 5)
    drawing.text(LEFT + 140, first, "score")
    drawing.line("lasting", LEFT + 216, first - 5, LEFT + 238, first - 5)
    drawing.text(LEFT + 244, first, "lasting score")
    drawing.line("even", LEFT + 364, first - 5, LEFT + 386, first - 5)
    drawing.text(LEFT + 392, first, "alarm threshold")
    drawing.add(f'<path class="call" d="M{LEFT + 5} {second - 12}h12l-6 13z"/>')
    drawing.text(LEFT + 28, second, "a call")
    for kind, left, text in (("open", 112, "incident open"), ("fault", 256, "a fault"), ("harmless", 364, "harmless")):
        drawing.rect(kind, LEFT + left, LEFT + left + 22, (second - 12, second + 2))
        drawing.text(LEFT + left + 28, second, text)


def told(scene, calls):
    if not calls:
        return "Nobody is called."
    moments = ", ".join(f"{scene.first_shown + timedelta(minutes=call):%A %H:%M}" for call in calls)
    return f"Somebody is called {'once' if len(calls) == 1 else f'{len(calls)} times'}: {moments}."


def differences(scene, picture, calls, guide):
    """What the stored picture and the guide say otherwise than the program, in sentences."""
    file = HERE / f"{scene.name}.svg"
    if not file.is_file() or file.read_text() != picture:
        yield f"{file.name} isn't what the program says now; `just pictures {scene.name}` draws it again, then read the guide's text beside it"
    described = re.search(rf"!\[([^\]]*)\]\([^)]*/{scene.name}\.svg\)", guide)
    if not described:
        yield f"{GUIDE.name} doesn't show {scene.name}.svg"
        return
    # Where the description names the calls by their times: "calls on Tuesday at 21:35 and 23:33".
    named = re.search(r"calls (?:on|at) (.*)", described.group(1), re.DOTALL)
    times = [f"{scene.first_shown + timedelta(minutes=call):%H:%M}" for call in calls]
    if named and re.findall(r"\d\d:\d\d", named.group(1)) != times:
        yield f"{GUIDE.name} says of {scene.name} that it calls {named.group(1)} The program calls at {', '.join(times) or 'no time'}"


def svg(drawing, about):
    body = "\n".join(drawing.parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {WIDTH} {HEIGHT}" width="800">\n'
        f"<title>{escape(about)}</title>\n<style>{STYLE}</style>\n"
        f'<rect class="paper" width="{WIDTH}" height="{HEIGHT}"/>\n{body}\n</svg>\n'
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [scene.name for scene in SCENES]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"pictures: {', '.join(names)}; default: all")
    parser.add_argument("--homeostat", type=Path, required=True, help="the program")
    to = parser.add_mutually_exclusive_group()
    to.add_argument("--output", type=Path, default=HERE, help="where the pictures go; default: beside this file")
    to.add_argument("--check", action="store_true", help="write nothing; fail where pictures or guide say otherwise than the program")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in names]
    if unknown:
        parser.error(f"no such picture: {', '.join(unknown)}; there are {', '.join(names)}")
    if not arguments.homeostat.is_file():
        parser.error(f"no such file: {arguments.homeostat}; `cargo build --release -p homeostat` makes target/release/homeostat")
    guide, found = GUIDE.read_text(), []
    for scene in SCENES:
        if arguments.names and scene.name not in arguments.names:
            continue
        with tempfile.TemporaryDirectory() as folder:
            values = write(scene, Path(folder))
            rows = scores(arguments.homeostat.resolve(), Path(folder))
        if len(rows) != len(values):
            raise SystemExit(f"{scene.name}: {len(values)} rows were given to `homeostat score`, and {len(rows)} came back")
        picture, calls = draw(scene, values, rows)
        if arguments.check:
            found.extend(differences(scene, picture, calls, guide))
        else:
            (arguments.output / f"{scene.name}.svg").write_text(picture)
        opened = [f"{scene.first_shown + timedelta(minutes=a):%a %H:%M}-{scene.first_shown + timedelta(minutes=b):%a %H:%M}"
                  for a, b in runs(row["open"] == "1" for row in rows)]
        print(f"{scene.name}: {told(scene, calls)} Open: {', '.join(opened) or 'never'}.")
        for call in calls:
            row = rows[call]
            print(f"    {row['timestamp']} {row['type']}, score {float(row['score'] or 0):.3g}, "
                  f"lasting score {float(row['lasting_score'] or 0):.3g}")
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
