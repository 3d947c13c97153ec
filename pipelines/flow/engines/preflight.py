"""What is checked of an engine before anything is spent."""

from dataclasses import replace

from operators.models.engines import EngineConfig, build_engine, chosen
from operators.models.engines.context import ModelFacts, check_vllm_arguments, model_facts
from operators.text.chunk import ChunkConfig


def check_engine(engine: EngineConfig, chunk: ChunkConfig, warnings: list[str]) -> ModelFacts:
    """Check an engine's block, choose the tokenizer that counts its chunks, and give what is known of the model.

    What the user should know is added to `warnings`. Raises BadRequest for what cannot work.
    """
    name = chosen(engine)
    build_engine(engine)  # refuses settings that cannot work; nothing is loaded
    if name == "openai":
        if chunk.tokenizer is None:
            warnings.append(
                "chunk.tokenizer is not given, so an approximate counter measures chunks. "
                "Name the endpoint's tokenizer (a folder or a hub name) for exact limits."
            )
        return ModelFacts(engine.openai.context_tokens, None, False, None)
    arguments = engine.vllm if name == "vllm" else vars(engine.transformers)
    if name == "vllm":
        check_vllm_arguments(arguments)
    facts = model_facts(arguments["model"])
    chunk.tokenizer = chunk.tokenizer or arguments.get("tokenizer") or arguments["model"]
    return replace(facts, context_tokens=arguments.get("max_model_len") or facts.context_tokens)
