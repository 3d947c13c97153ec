"""How an answer ended, in the words of all servers and engines: whole, cut at its cap, or a failure.

A word that no line of the table has is a failure: half a sentence must never pass for a whole one.
"""

from typing import Any

WHOLE, CAPPED = "stop", "length"
FILTERED, REFUSED, TOOL_CALL, UNFINISHED = (
    "filtered",
    "refusal",
    "tool_call",
    "unfinished",
)  # error words of a Completion

# What servers say, in small letters: OpenAI, vLLM, SGLang, llama.cpp, TGI, Mistral, Anthropic, Gemini, Cohere, Bedrock, watsonx,
# xAI, Together, Zhipu, and the proxies in front of them.
WORDS = {
    WHOLE: "stop eos eos_token end end_turn stop_sequence stop_string stop_token stop_word stop_words stopped complete "
    "completed done finished",
    CAPPED: "length max_tokens max_length max_len max_new_tokens max_output_tokens model_length max_context context_length "
    "model_context_window_exceeded token_limit",
    FILTERED: "content_filter content_filtered filtered safety recitation blocklist prohibited_content spii sensitive "
    "guardrail_intervened moderation error_toxic",
    REFUSED: "refusal refused",
    TOOL_CALL: "tool_calls tool_call tool_use function_call malformed_function_call",
}
ENDINGS = {word: ending for ending, words in WORDS.items() for word in words.split()}


def told(said: Any) -> str | None:
    """Give the word in what was said of an end; None where that says nothing."""
    if isinstance(said, dict):
        said = said.get("type") or said.get("reason")
    return str(said).strip() or None if said else None


def ending(said: Any) -> str:
    """Give WHOLE, CAPPED or the error word of a failure for what was said as finish_reason; WHOLE where nothing was said.

    Case, and prefixes as in FinishReason.STOP and REASON_STOP, do not matter.
    """
    word = told(said)
    if word is None:
        return WHOLE
    word = word.lower().rpartition(".")[2].replace("-", "_").replace(" ", "_")
    return ENDINGS.get(word.removeprefix("finish_").removeprefix("reason_"), UNFINISHED)
