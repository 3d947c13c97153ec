"""What there is: the texts of `gristmill list` and of `--help`."""

from typing import TYPE_CHECKING

from operators.prompts import load_prompt, prompt_names

if TYPE_CHECKING:
    from pipelines.config import Setting

PIPELINES = {"rephrase": "documents -> rewrites in several styles, checked and mixed with the real text (WRAP)"}
ENGINES = {
    "vllm": "vLLM inside the pipeline's actors, on GPUs or on the CPU",
    "openai": "any OpenAI-compatible endpoint",
    "transformers": "Hugging Face generate, where vLLM is not to be had",
}
EXAMPLES = """\
Examples:
  gristmill run rephrase --config configs/rephrase/quickstart.yaml
  gristmill run rephrase input.path=docs/ styles=[medium,qa] mix.synthetic=2 \\
      engine.vllm.model=Qwen/Qwen2.5-0.5B-Instruct output.path=runs/first
  gristmill run rephrase input.path='s3://bucket/crawl/*.warc.gz' styles=[faq] prompt_order=text_first \\
      engine.openai.base_url=http://localhost:8000/v1 engine.openai.model=my-model output.path=s3://bucket/faq
"""


def listing() -> str:
    """List what there is, one line each."""
    prompts = {name: load_prompt(name).summary for name in prompt_names()}
    groups = {"pipelines": PIPELINES, "engines": ENGINES, "prompts (styles)": prompts}
    return "\n\n".join(f"{title}\n{_columns(entries)}" for title, entries in groups.items())


def rephrase_help() -> str:
    """Explain every setting of the rephrase pipeline, with examples."""
    from pipelines.config import describe
    from pipelines.rephrase import RephraseJob

    settings = {setting.key: _explain(setting) for setting in describe(RephraseJob)}
    return f"{EXAMPLES}\nSettings (KEY=VALUE, or a YAML file with the same keys):\n{_columns(settings)}\n"


def _explain(setting: "Setting") -> str:
    return f"{setting.doc} [{'null' if setting.default is None else setting.default}]"


def _columns(entries: dict[str, str]) -> str:
    width = max(map(len, entries)) + 2
    return "\n".join(f"  {name:{width}}{text}" for name, text in entries.items())
