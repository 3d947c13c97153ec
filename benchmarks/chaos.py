"""Runs that are killed at random, resumed and compared with one that nobody disturbed: nothing lost, nothing twice.

    python -m benchmarks.chaos --kills 100 --seed 1
    python -m benchmarks.chaos --seed 1 --only 7                    # trial 7 of that series once more
    python -m benchmarks.chaos --kinds driver,s3 engine.copies=2    # any setting of the command, for every run

Each trial is one artifact: the real command against a fake endpoint, struck several times (the driver, an engine's actor, a
worker, a raylet of three nodes, the S3 service), with the same command again whenever it has ended. At the end its ids, texts and
fates are held against the undisturbed run's, byte for byte. Everything random comes from the seed and the trial's number.

Re-issued are the requests that the endpoint had beyond those of the undisturbed run, which a paid one would charge twice.
Exit code 1 if a row was lost, doubled or differs, if a run that should outlive its strike did not, or if one did not end.
"""

import argparse
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.chaos.scene import scene
from tests.chaos.strikes import KINDS, draw
from tests.chaos.trial import Outcome, Trial

DOCUMENTS, LATENCY_S = 640, 0.15


def plan(number: int, seed: int, kinds: list[str], places: list[str], requests: int) -> tuple[str, str, list]:
    """Draw a trial: its kind, its place and its strikes. The kinds take turns."""
    dice = random.Random(f"{seed}/{number}")
    kind = kinds[number % len(kinds)]
    place = "s3" if kind == "s3" else dice.choice(places)
    return kind, place, draw(kind, requests, dice)


def line(number: int, kind: str, place: str, outcome: Outcome, seconds: float, requests: int) -> str:
    firsts = " ".join(f"{second:.1f}" for second in outcome.first_s) or "-"
    return (
        f"{number:3} {kind:6} {place:5} {'ok ' if outcome.good else 'BAD'} {', '.join(outcome.hits) or 'no strike'} | "
        f"exit codes {' '.join(map(str, outcome.codes))} | {outcome.difference} | re-issued {outcome.reissued:,} "
        f"({outcome.reissued / requests:.1%}), most {outcome.most_reissued:,} | first request after {firsts} s | "
        f"{seconds:.0f} s"
    )


def table(outcomes: list[tuple[str, Outcome]], requests: int) -> str:
    """Sum up by kind."""
    heads = "kind   trials strikes lost doubled differ fell failed re-issued most first_s end_s  exit codes".split()
    form = "{:8}{:>7}{:>8}{:>6}{:>8}{:>7}{:>5}{:>7}{:>10}{:>6}{:>8}{:>6}  {}"
    lines = [form.format(*heads[:-2], "exit codes")]
    for kind in [*dict.fromkeys(kind for kind, _ in outcomes), "all"]:
        chosen = [outcome for name, outcome in outcomes if kind in (name, "all")]
        codes = Counter(code for outcome in chosen for code in outcome.codes)
        lines.append(
            form.format(
                kind,
                len(chosen),
                sum(len(o.hits) for o in chosen),
                *(sum(getattr(o.difference, name) for o in chosen) for name in ("lost", "doubled", "differing")),
                sum(len(o.fell) for o in chosen),
                sum(len(o.failures) for o in chosen),
                f"{sum(o.reissued for o in chosen) / (requests * len(chosen)):.1%}",
                max(o.most_reissued for o in chosen),
                _mean([s for o in chosen for s in o.first_s]),
                _mean([s for o in chosen for s in o.end_s]),
                ", ".join(f"{code}: {count}" for code, count in sorted(codes.items())),
            )
        )
    hits = Counter(hit for _, outcome in outcomes for hit in outcome.hits)
    left = Counter(title for _, outcome in outcomes for title in outcome.left_behind)
    lines += ["strikes: " + ", ".join(f"{hit} {count}" for hit, count in hits.most_common())]
    return "\n".join(lines + ([f"processes left behind: {dict(left)}"] if left else []))


def _mean(seconds: list[float]) -> str:
    return f"{sum(seconds) / len(seconds):.1f}" if seconds else "-"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", metavar="KEY=VALUE")
    parser.add_argument("--kills", type=int, default=100, help="strikes to make in all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--places", default="local,s3")
    parser.add_argument("--only", type=int, metavar="TRIAL", help="make this trial of the series and no other")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no trial after so many")
    parser.add_argument("--documents", type=int, default=DOCUMENTS)
    arguments = parser.parse_args()
    signal.signal(
        signal.SIGTERM, signal.default_int_handler
    )  # so that a series that is stopped leaves no process behind
    kinds, began = arguments.kinds.split(","), time.monotonic()
    outcomes: list[tuple[str, Outcome]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        scene(Path(folder), arguments.documents, LATENCY_S, arguments.settings) as here,
    ):
        requests, rows = here.undisturbed.requests, len(here.undisturbed.rows)
        print(
            f"seed {arguments.seed}; undisturbed: {requests:,} requests, {rows:,} rows, {here.undisturbed.seconds:.0f} s"
        )
        number = arguments.only or 0
        while sum(len(o.hits) for _, o in outcomes) < arguments.kills and (
            time.monotonic() - began < 60 * arguments.minutes
        ):
            kind, place, strikes = plan(number, arguments.seed, kinds, arguments.places.split(","), requests)
            started = time.monotonic()
            outcome = Trial(here, f"trial-{number}", place, joined=kind == "raylet").carry_out(strikes)
            outcomes.append((kind, outcome))
            print(line(number, kind, place, outcome, time.monotonic() - started, requests), flush=True)
            for trouble in outcome.failures + outcome.fell:
                print(f"    {trouble}".replace("\n", "\n    "), flush=True)
            if arguments.only is not None:
                break
            number += 1
    print(table(outcomes, requests))
    sys.exit(not all(outcome.good for _, outcome in outcomes))


if __name__ == "__main__":
    main()
