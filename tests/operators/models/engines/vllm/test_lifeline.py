import copy
import multiprocessing
import signal
import subprocess
import sys

import psutil
import pytest

from operators.models.engines.vllm.lifeline import Lifeline


def sleep_with(lifeline, connection):
    connection.send("awake")
    signal.pause()  # for ever; a read would notice the parent's end by itself


def start_and_wait():
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    child = context.Process(target=sleep_with, args=(Lifeline(), theirs))
    child.start()
    assert ours.recv() == "awake"
    print(child.pid, flush=True)
    child.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_child_with_a_lifeline_dies_with_its_killed_parent():
    code = "from tests.operators.models.engines.vllm.test_lifeline import start_and_wait; start_and_wait()"
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(parent.stdout.readline()))
    parent.kill()
    parent.wait()
    _, alive = psutil.wait_procs([child], timeout=5)
    assert alive == []


def test_a_copy_inside_one_process_ties_nothing():
    assert isinstance(copy.deepcopy(Lifeline()), Lifeline)
