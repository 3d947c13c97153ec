"""How a training run goes."""

import time
from dataclasses import dataclass, field

from pipelines.counts import Counts
from pipelines.flow.board.pace import clock


@dataclass
class TrainPace:
    """Shows how the last step went."""

    began: float = field(default_factory=time.monotonic)

    def line(self, counts: Counts) -> str:
        now, last = clock(time.monotonic() - self.began), counts.get("latest")
        if not last:
            return f"{now}  workers are starting"
        steps, rate = counts["read"]["of_steps"], last["tokens_per_second"]
        left = (steps - last["step"]) * last["seconds"]
        speed = f"{rate:,.0f} tokens/s" + (f" | MFU {last['mfu']:.1%}" if last.get("mfu") else "")
        loss = f"loss {last['loss']:.4f}" if "loss" in last else "no target"
        return f"{now}  step {last['step']:,} of {steps:,} | {loss} | {speed} | ETA {clock(left)}"
