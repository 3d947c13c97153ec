"""What is checked before anything is spent: prompts, engine, context, input, output."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.errors import BadRequest
from operators.models.engines.context import digest_of
from operators.rewrite.faithful import check_encoder
from operators.rewrite.mix import Mix
from operators.rewrite.prompts import load_prompt
from operators.storage.base import InputFile
from operators.storage.place import Place
from operators.text.tokenizer import approximate_tokenizer, load_tokenizer
from pipelines.flow.engines.preflight import check_engine
from pipelines.flow.input.files import input_files
from pipelines.rephrase.job import RephraseJob
from pipelines.run.output import output_place


@dataclass
class Checked:
    """What the checks found out: the input files, the place of the artifact, and what the user should know.

    `contents` decides what comes out as the settings do: what is in the prompts, the model and the tokenizer that they name.
    """

    files: list[InputFile]
    place: Place
    contents: dict[str, Any]
    warnings: list[str]


def check(job: RephraseJob) -> Checked:
    """Check a job and settle what it left open (the tokenizer that counts). Raises BadRequest."""
    warnings: list[str] = []
    prompts = {prompt.name: prompt for prompt in map(load_prompt, _styles(job))}
    Mix(job.mix)
    place = output_place(job.output.path, job.storage, "runs/first")
    files, said = input_files(job.input, job.storage, place)
    warnings += said
    facts = check_engine(job.engine, job.chunk, warnings)
    _check_sizes(job, prompts, facts.context_tokens)
    check_encoder(job.faithful)
    place.check_writable()
    _warn_of_surplus(job, warnings)
    contents = {
        "prompts": {style: prompt.identity for style, prompt in prompts.items()},
        "engine model's contents": facts.contents,
        "chunk.tokenizer's contents": _tokenizer_contents(job),
    }
    return Checked(files, place, contents, warnings)


def _tokenizer_contents(job: RephraseJob) -> str | None:
    """Digest a tokenizer that is a folder or a file here; a hub name stands for itself."""
    path = Path(job.chunk.tokenizer or "").expanduser()
    file = path / "tokenizer.json" if path.is_dir() else path
    return digest_of([file]) if job.chunk.tokenizer and file.is_file() else None


def _styles(job: RephraseJob) -> list[str]:
    if not job.styles:
        raise BadRequest(
            "styles is empty. Name at least one, for example styles=[medium,qa]; `gristmill list` has them."
        )
    twice = {style for style in job.styles if job.styles.count(style) > 1}
    if twice:
        raise BadRequest(f"styles names {', '.join(sorted(twice))} twice.")
    return job.styles


def _check_sizes(job: RephraseJob, prompts: dict, context: int | None) -> None:
    """Raise BadRequest if a chunk, its prompt and the rewrite cannot fit the model's context."""
    tokenizer = load_tokenizer(job.chunk.tokenizer) if job.chunk.tokenizer else approximate_tokenizer()
    for style, prompt in prompts.items():
        frame = prompt.messages("", system=job.system, order=job.prompt_order)
        around = sum(len(tokenizer.encode(message["content"]).ids) + 8 for message in frame)
        answer = prompt.max_tokens if job.max_tokens is None else job.max_tokens
        carried = job.context_tokens if job.carry_context else 0
        needed = around + job.chunk.max_tokens + carried + answer
        if context is not None and needed > context:
            raise BadRequest(
                f"style {style!r} does not fit the model: chunk.max_tokens={job.chunk.max_tokens} + prompt {around} "
                f"+ answer {answer}{f' + carried context {carried}' if carried else ''} = {needed} tokens, "
                f"and the context is {context}. "
                "Lower chunk.max_tokens or max_tokens, or take a model with a longer context."
            )


def _warn_of_surplus(job: RephraseJob, warnings: list[str]) -> None:
    share = job.mix.synthetic / job.mix.real if job.mix.real else None
    if share and job.mix.by == "tokens" and share < 0.75 * len(job.styles):
        warnings.append(
            f"{len(job.styles)} styles give up to {len(job.styles)} tokens of rewrites for one of real text, and mix keeps "
            f"{share:g}: the surplus goes to rejected/. mix.synthetic={len(job.styles) * job.mix.real:g} keeps it."
        )
