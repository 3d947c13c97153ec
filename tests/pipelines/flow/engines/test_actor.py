import os
import time

import numpy as np
import psutil
import pyarrow as pa
import pytest
import ray
from ray.exceptions import ActorDiedError

from operators.models.chains import Chains
from operators.models.engines.base import Completion, Request
from operators.table import REQUESTS
from pipelines.flow.board.reporter import Reporter
from pipelines.flow.board.scoreboard import start_board
from pipelines.flow.engines.actor import BesideEngine
from pipelines.flow.faults.config import CommitConfig
from pipelines.flow.orders.order import Order

pytestmark = pytest.mark.usefixtures("ray_session")


class Silent:
    """An engine that answers nothing."""

    model, seats = "silent", 1

    async def start(self) -> None: ...

    async def complete(self, request: Request) -> Completion: ...


class Untouched(Chains):
    """An operator that asks nothing."""

    stage, kind, adds, reads = "untouched", "style", pa.schema([]), ()

    def __init__(self, engine):
        super().__init__(engine, seed=0)

    @classmethod
    def asked(cls, table: pa.Table) -> np.ndarray:
        return np.zeros(len(table), bool)

    async def answer(self, row, ask): ...


@pytest.mark.parametrize("end", [lambda board: board.close.remote(), ray.kill], ids=["closed", "gone"])
def test_an_engine_that_outlives_its_run_ends_with_the_runs_board(end):
    board = start_board()
    beside = ray.remote(BesideEngine).options(num_cpus=0, max_restarts=-1)
    actor = beside.remote("untouched", Untouched, Silent, 60.0, CommitConfig(), Reporter(board))
    order = Order("corpus.jsonl:0-9", ((0, 0), (9, 0)), REQUESTS.empty_table())
    ray.get(next(actor.__call__.options(num_returns="streaming").remote(order.to_block())))  # it has started by now
    process = ray.get(actor.__ray_call__.remote(lambda _: os.getpid()))
    end(board)
    deadline = time.monotonic() + 30
    while psutil.pid_exists(process) and time.monotonic() < deadline:
        time.sleep(0.1)
    with pytest.raises(ActorDiedError):  # and none was started in its place
        ray.get(actor.__ray_ready__.remote(), timeout=30)
