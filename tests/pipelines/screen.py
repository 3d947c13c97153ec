"""What may stand on the screen of a run that goes well."""

import io
import json
import re
from contextlib import redirect_stdout
from pathlib import Path
from subprocess import CompletedProcess

from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.ledger.reading import read_records
from pipelines.registry import PIPELINES

OURS = re.compile(
    r"\d+:\d\d:\d\d  .*"  # the line of progress
    r"|[✓▸·] .*"  # a stage
    r"|(note|done|resuming|waiting|engines): .*"
    r"|[\d,]+ s"  # the end of a title that does not fit a line
    r"|\d[\d,]* units failed and stand in rejected/.*"
)


def strange_lines(run: CompletedProcess, name: str, output: Path) -> list[str]:
    """Give the lines that the command of a pipeline printed and that are not for its user."""
    told = {line.strip() for line in _card(name, output)}
    lines = [line.strip() for line in (run.stdout + run.stderr).splitlines()]
    return [
        line
        for line in lines
        if line and line not in told and not OURS.fullmatch(line) and not line.startswith(f"{output} ·")
    ]


def _card(name: str, output: Path) -> list[str]:
    """Give the lines that tell of a finished artifact."""
    counts = read_records(Place(str(output), StorageConfig())).now().counts
    recipe = json.loads((output / "_gristmill" / "run.json").read_text())
    with redirect_stdout(io.StringIO()) as printed:
        PIPELINES[name].pipeline_class().card.show(recipe, counts, None)
    return printed.getvalue().splitlines()
