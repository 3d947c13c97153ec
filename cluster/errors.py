"""What a cluster can refuse, and an error of Ray in words."""

MOST = 500  # characters of an error that are shown: some carry all that a process printed


class NoCluster(RuntimeError):
    """Ray could not be started, the cluster could not be joined, or it is too small for what is asked of it."""


def in_a_line(error: BaseException) -> str:
    """Say an error in one line; of one that Ray carried here from a process, what was raised there."""
    error = getattr(error, "cause", None) or error
    words = " ".join(str(error).split())
    return (
        f"{type(error).__name__}: {words[:MOST]}{'...' if len(words) > MOST else ''}" if words else type(error).__name__
    )
