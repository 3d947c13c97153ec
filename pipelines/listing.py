"""What there is: the texts of `gristmill list` and of `--help`."""

from typing import TYPE_CHECKING

from operators.learn.losses import LOSSES
from operators.rewrite.prompts import load_prompt, prompt_names
from pipelines.choose.selectors import SELECTORS
from pipelines.registry import PIPELINES

if TYPE_CHECKING:
    from pipelines.settings import Setting

ENGINES = {
    "vllm": "vLLM inside the pipeline's actors, on GPUs or on the CPU",
    "openai": "any OpenAI-compatible endpoint",
    "transformers": "Hugging Face generate, where vLLM is not to be had",
}


def listing() -> str:
    """List what there is, one line each."""
    prompts = {name: load_prompt(name).summary for name in prompt_names()}
    pipelines = {name: entry.summary for name, entry in PIPELINES.items() if not entry.internal}
    selectors = {name: entry.summary for name, entry in SELECTORS.items()}
    groups = {
        "pipelines": pipelines,
        "engines": ENGINES,
        "prompts (styles)": prompts,
        "losses": {name: entry.summary for name, entry in LOSSES.items()},
        "selectors": selectors,
    }
    return "\n\n".join(f"{title}\n{_columns(entries)}" for title, entries in groups.items())


def settings_help(name: str) -> str:
    """Explain every setting of a pipeline, with examples."""
    from pipelines.settings import describe

    entry = PIPELINES[name]
    settings = {setting.key: _explain(setting) for setting in describe(entry.job_class())}
    columns = _columns(settings)
    return f"Examples:\n{entry.examples}\nSettings (KEY=VALUE, or a YAML file with the same keys):\n{columns}\n"


def _explain(setting: "Setting") -> str:
    return f"{setting.doc} [{'null' if setting.default is None else setting.default}]"


def _columns(entries: dict[str, str]) -> str:
    width = max(map(len, entries)) + 2
    return "\n".join(f"  {name:{width}}{text}" for name, text in entries.items())
