"""A child process that does not outlive its parent, not even one that was killed with SIGKILL."""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


class Lifeline:
    """Rides in the pickled arguments of a spawned process; unpickled there, it ties that process to its parent.

    The kernel then kills the child when the parent's *thread* that started it ends, so that thread has to live as long
    as the child is wanted. A child that spawns others with the same arguments ties them to itself. Linux only;
    elsewhere it does nothing. Why: vLLM's EngineCore notices no parent's death and would keep the memory of the device.
    """

    def __reduce__(self):
        return _tie, (os.getpid(),)


def _tie(parent: int) -> Lifeline:
    # Copied inside one process, or unpickled by a stranger (a Ray worker), it ties nothing.
    if sys.platform == "linux" and os.getppid() == parent:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died in between
            os._exit(1)
    return Lifeline()
