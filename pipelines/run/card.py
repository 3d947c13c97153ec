"""What every run leaves for people: facts on the screen and the dataset card in the artifact."""

Facts = list[tuple[str, str]]

CARD = """---
configs:
{configs}
tags: [gristmill, {tag}]
---
# {title}

{what}

| what | |
|---|---|
{facts}

{columns} `_gristmill/` holds the records of the run.
"""


def card(tag: str, title: str, what: str, facts: Facts, columns: str, data_files: str | dict[str, str]) -> str:
    """Write an artifact's README.md: a dataset card with YAML front matter. Several data sets in it have names."""
    named = data_files if isinstance(data_files, dict) else {"default": data_files}
    configs = "\n".join(f"- config_name: {name}\n  data_files: {files}" for name, files in named.items())
    lines = "\n".join(f"| {name} | {value} |" for name, value in facts)
    return CARD.format(configs=configs, tag=tag, title=title, what=what, facts=lines, columns=columns)


def show(title: str | None, facts: Facts) -> None:
    """Print what came out, a fact a line."""
    from rich.console import Console

    console = Console()
    if title:
        console.print(title, highlight=False, style="bold")
    for name, value in facts:
        console.print(f"{name}: {value}", highlight=False)


def words_of(reasons: dict[str, int]) -> str:
    """Say how often each reason came, the most frequent first."""
    return (
        ", ".join(f"{reason} {count:,}" for reason, count in sorted(reasons.items(), key=lambda item: -item[1]))
        or "none"
    )
