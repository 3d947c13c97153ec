"""Strikes: what hits a run, with which signal, when and for how long. All of it is drawn from a seed."""

import random
from dataclasses import dataclass, replace

# What may be hit under each kind's name; what stands there twice comes twice as often.
KINDS = {
    "driver": ["driver SIGKILL", "driver SIGKILL", "driver SIGTERM", "driver SIGSTOP"],
    "engine": ["engine SIGKILL", "engine SIGKILL", "engine SIGTERM", "engine SIGSTOP"],
    "worker": [
        "task SIGKILL",
        "task SIGKILL",
        "task SIGTERM",
        "task SIGSTOP",
        "Scoreboard SIGKILL",
        "ray_data SIGKILL",
    ],
    "raylet": ["node SIGKILL", "node SIGKILL", "node SIGSTOP", "head SIGKILL"],
    "s3": ["proxy SIGKILL", "s3 SIGSTOP"],
}
STRIKES = {"driver": 3, "engine": 4, "worker": 4, "raylet": 3, "s3": 4}  # in one run, where it lasts long enough
# The driver is stopped and the same command is started beside it: for a while, or until the second has taken over.
BESIDE = ["rival SIGSTOP", "rival SIGSTOP", "successor SIGSTOP"]
BESIDE_SHARE, LAST_SHARE = 0.3, 0.3
LONGEST_DELAY_S = 0.6  # between two requests: the moment of a strike is not that of an answer


@dataclass(frozen=True)
class Strike:
    """One disturbance.

    It falls `delay_s` after the endpoint has had `after` requests since the last strike or (re)start; None: all there are.
    What is stopped or taken away comes back after `pause_s`. `which` in [0, 1) chooses among processes of a kind.
    """

    target: str
    signal: str
    after: int | None
    delay_s: float = 0.0
    pause_s: float = 1.0
    which: float = 0.0

    def __str__(self) -> str:
        pause = f" {self.pause_s:.1f} s" if self.signal == "SIGSTOP" or self.target == "proxy" else ""
        moment = "at the end" if self.after is None else f"+{self.after}"
        return f"{self.target} {self.signal}{pause} {moment}"


def draw(kind: str, requests: int, dice: random.Random) -> list[Strike]:
    """Draw the strikes of one run that takes so many requests."""
    count = STRIKES[kind]
    whats = dice.choices(KINDS[kind], k=count)
    if kind == "driver" and dice.random() < BESIDE_SHARE:
        whats[-1] = dice.choice(BESIDE)
    strikes = [_strike(what, requests // (count + 1), dice) for what in whats]
    if kind in ("driver", "worker", "s3") and dice.random() < LAST_SHARE:
        strikes[-1] = replace(strikes[-1], after=None)
    return strikes


def _strike(what: str, most: int, dice: random.Random) -> Strike:
    target, signal = what.split()
    after = dice.randint(0 if target == "driver" else 1, most)
    longest = 9.0 if target in ("node", "rival") else 4.0
    return Strike(target, signal, after, dice.uniform(0, LONGEST_DELAY_S), dice.uniform(0.3, longest), dice.random())
