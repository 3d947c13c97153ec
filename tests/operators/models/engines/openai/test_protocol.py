"""What servers say where they refuse: in the words of each."""

import pytest

from operators.models.engines.openai.protocol import speaks_of_length


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4097 tokens. However, you requested 5000 tokens. context_length_exceeded",
        "'max_tokens' is too large: 5000. This model's maximum context length is 2048 tokens and your request has 14.",
        "max_tokens is too large: 100000. This model supports at most 4096 completion tokens, whereas you provided 100000.",
        "The decoder prompt (length 5000) is longer than the maximum model length of 2048.",
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        "the request exceeds the available context size, try increasing it",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 2048. Given: 5000 `inputs` tokens",
        "Input validation error: `inputs` must have less than 1024 tokens. Given: 3000",
        "prompt is too long: 200001 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000",
        "Prompt contains 33000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
        "The input token count (1000001) exceeds the maximum number of tokens allowed (1000000).",
        "Unable to submit request because the input token count is 40000 but model only supports up to 32768.",
        "Please reduce the length of the messages or completion.",
        "Input is too long for requested model.",
        "Range of input length should be [1, 6000]",
        "This model's maximum prompt length is 131072 but the request contains 200000 tokens.",
        "Prompt length 5000 is greater than max_seq_len 4096",
        "Invalid 'messages[0].content': string too long. Expected a string with maximum length 1048576. string_above_max_length",
    ],
)
def test_a_refusal_of_too_many_tokens_is_known_whoever_words_it(message):
    assert speaks_of_length(message)


@pytest.mark.parametrize(
    "message",
    [
        "Unrecognized request argument supplied: length_penalty",
        "Extra inputs are not permitted, field: 'context_length_exceeded_behavior'",
        "Unknown parameter: 'context'. The prompt has no maximum.",
        "length_penalty must be between 0 and 2",
        "Invalid 'stop': array too long. Expected an array with maximum length 4, but got an array with length 5 instead.",
        "Invalid 'user': string too long. Expected a string with maximum length 64.",
        "min_tokens must be less than or equal to max_tokens=300, got 500.",
        "token_id(s) [50300] in logit_bias exceed the vocabulary size of 32000",
        "context deadline exceeded",
        "[{'loc': ('body', 'temperature'), 'msg': 'Input should be less than or equal to 2', 'input': 3, 'ctx': {'le': 2}}]",
        "[{'type': 'value_error', 'msg': 'top_k must be positive', 'input': {'messages': [{'content': 'of great length'}]}}]",
        "1 validation error: top_k [type=value_error, input_value={'messages': [{'content': 'of great length'}]}]",
    ],
)
def test_a_refusal_of_something_else_is_not_taken_for_one_of_too_many_tokens(message):
    assert not speaks_of_length(message)
