"""The command line: the same words in every verb."""

from typing import Annotated

import typer

from pipelines.exits import guarded

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


@app.command("list")
def list_() -> None:
    """List pipelines, prompts and engines, one line each."""
    from pipelines.listing import listing

    typer.echo(listing())


class RephraseHelp(typer.core.TyperCommand):
    """Adds the settings and examples to the help; they are collected only when it is asked for."""

    def format_epilog(self, context, formatter) -> None:
        from pipelines.listing import rephrase_help

        formatter.write("\n" + rephrase_help())


@run.command("rephrase", cls=RephraseHelp)
def rephrase(overrides: Overrides = None, config: Config = None) -> None:
    """Rephrase documents in several styles and mix the rewrites with the real text."""
    from pipelines.config import compose
    from pipelines.rephrase import RephraseJob

    job = compose(RephraseJob, config, overrides or [])
    from pipelines.run import run_rephrase

    run_rephrase(job)


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 a bad request, 130 interrupted and resumable."""
    guarded(app)


if __name__ == "__main__":
    main()
