import subprocess
import sys

SCRIPT = """
import logging, os, sys, warnings
from cluster import log
log.begin()
os.write(2, b"[E 1 1] core_worker.cc:2465: native\\n")
warnings.warn("a library's")
logging.getLogger("library").error("what it logs")
logging.getLogger("operators.storage.s3").warning("%s again", "trying")
print("for the user", file=log.screen())
log._take({"pid": 7, "ip": "10.0.0.1", "is_err": True, "actor_name": "Engine", "lines": ["\\x1b[36mTriton not available\\x1b[0m",
    "ValueError: Free memory is less than desired"]})
print(log.path())
print(log.last_error())
"""


def test_the_screen_has_what_is_for_the_user_and_the_log_all_else():
    run = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=60)
    assert run.stderr == "note: trying again\nfor the user\n"
    path, last = run.stdout.splitlines()
    with open(path) as file:
        written = file.read()
    for line in (
        "core_worker.cc:2465: native",
        "a library's",
        "what it logs",
        "(Engine pid=7, ip=10.0.0.1) Triton not",
    ):
        assert line in written
    assert "\x1b" not in written and last.endswith("ValueError: Free memory is less than desired")


def test_a_log_in_which_nothing_stands_is_not_left_behind():
    script = "from cluster import log; log.begin(); print(log.path())"
    path = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60).stdout.strip()
    assert path.endswith(".log")
    assert subprocess.run(["test", "-e", path]).returncode == 1


def test_what_nodes_say_to_all_drivers_goes_into_the_log_too():
    script = (
        "from cluster import log; log.begin(); log.take_lines_of_workers()\n"
        "from ray._private import worker\n"
        "said = {'lines': ['8 PYTHON worker processes'], 'pid': 'raylet', 'is_err': False}\n"
        "worker.print_to_stdstream(said, ignore_prefix=False)\n"
        "print(log.path().read_text())"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert run.stderr == "" and "8 PYTHON worker processes" in run.stdout
    assert "raylet" in run.stdout.splitlines()[0]
