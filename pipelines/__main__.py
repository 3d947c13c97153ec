"""The command line: the same words in every verb."""

from typing import Annotated

import typer

from cluster import log
from operators.errors import BadRequest
from pipelines.exits import guarded
from pipelines.registry import PIPELINES

app = typer.Typer(
    name="gristmill",
    help="The mill that turns raw web corpora into better training data and better models, on Ray.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
run = typer.Typer(
    help="Run a pipeline here, or resume it: the same command again goes on.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(run, name="run")

Config = Annotated[str | None, typer.Option("--config", metavar="FILE", help="YAML file with settings")]
Overrides = Annotated[
    list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="settings; they win over the file")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"gristmill {version('gristmill')}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_show_version, is_eager=True, help="show the version and exit")
]


@app.callback()
def front(version: Version = False) -> None:
    """Take what stands before the verb."""


@app.command("list")
def list_() -> None:
    """List pipelines, engines, prompts, losses and selectors, one line each."""
    from pipelines.listing import listing

    typer.echo(listing())


class SettingsHelp(typer.core.TyperCommand):
    """Adds the settings and examples to the help; they are collected only when it is asked for."""

    def format_epilog(self, context, formatter) -> None:
        from pipelines.listing import settings_help

        formatter.write("\n" + settings_help(self.name))


New = Annotated[
    bool, typer.Option("--new", help="where output.path was made otherwise, begin another artifact beside it")
]
Fork = Annotated[
    bool, typer.Option("--fork", help="the same, with a copy of what is settled there; the rest is done as asked now")
]
Retry = Annotated[
    str | None, typer.Option("--retry", metavar="failed", help="do again the units that failed, and nothing else")
]


def _command(name: str) -> None:
    """Make the command that runs a pipeline."""

    def command(
        overrides: Overrides = None, config: Config = None, new: New = False, fork: Fork = False, retry: Retry = None
    ) -> None:
        log.begin()
        from pipelines.config import compose
        from pipelines.ledger.opening import chosen

        job, otherwise = compose(PIPELINES[name].job_class(), config, overrides or []), chosen(new, fork)
        if retry not in (None, "failed"):
            raise BadRequest(f"--retry {retry}: there is only `--retry failed`.")
        from pipelines.run.execute import run_pipeline

        run_pipeline(PIPELINES[name].pipeline_class()(job), otherwise, retry_failed=retry == "failed")

    run.command(name, cls=SettingsHelp, help=PIPELINES[name].summary)(command)


for _name, _entry in PIPELINES.items():
    if not _entry.internal:
        _command(_name)

Output = Annotated[str, typer.Argument(metavar="OUTPUT", help="folder of the artifact: a local path or s3://...")]
Endpoint = Annotated[
    str | None, typer.Option("--endpoint-url", help="address of the S3 service; else AWS_ENDPOINT_URL, Amazon's own")
]


@app.command()
def status(output: Output, endpoint_url: Endpoint = None) -> None:
    """Show how far an artifact is, whether a run is at work on it, and what to do next."""
    from pipelines.status import show_status

    show_status(_place(output, endpoint_url))


Repair = Annotated[
    bool,
    typer.Option(
        "--repair", help="remove what belongs to no commit, and take back what is damaged: the next run redoes it"
    ),
]


@app.command()
def verify(output: Output, endpoint_url: Endpoint = None, repair: Repair = False) -> None:
    """Prove that an artifact is whole: every part by its checksum, every unit once. Exits 0 if it is, 1 if not."""
    from pipelines.ledger.proof.verify import run_verify

    run_verify(_place(output, endpoint_url), repair)


def _place(output: str, endpoint_url: str | None):
    from operators.storage.config import StorageConfig
    from operators.storage.place import Place

    return Place(output, StorageConfig(endpoint_url=endpoint_url))


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 a bad request, 130 interrupted and resumable."""
    guarded(app)


if __name__ == "__main__":
    main()
