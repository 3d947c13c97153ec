"""Chat templates of the field's families, reduced to what each does in a way of its own."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

CHATML = """\
{%- if messages[0].role != 'system' %}{{ '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' }}{% endif %}
{%- for message in messages %}
    {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""

# Trims what is said, dates the system turn, writes a call of a tool in words and ends it with another token.
LLAMA_3 = """\
{{- bos_token }}
{%- if messages[0].role == 'system' %}
    {%- set told = messages[0].content | trim %}{% set messages = messages[1:] %}
{%- else %}{% set told = '' %}{% endif %}
{{- '<|start_header_id|>system<|end_header_id|>\\n\\n' }}
{%- if tools %}{{ 'Environment: ipython\\n' }}{% endif %}
{{- 'Cutting Knowledge Date: December 2023\\nToday Date: ' + strftime_now('%d %b %Y') + '\\n\\n' }}
{%- if tools %}
    {{- 'You have access to the following functions.\\n\\n' }}
    {%- for tool in tools %}{{ (tool | tojson) + '\\n\\n' }}{% endfor %}
{%- endif %}
{{- told + '<|eot_id|>' }}
{%- for message in messages %}
    {%- if message.role == 'tool' %}
        {{- '<|start_header_id|>ipython<|end_header_id|>\\n\\n' + message.content + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if message.tool_calls | length != 1 %}{{ raise_exception('one call at a time') }}{% endif %}
        {%- set call = message.tool_calls[0].function %}
        {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n<|python_tag|>' }}
        {{- '{"name": "' + call.name + '", "parameters": ' + (call.arguments | tojson) + '}<|eom_id|>' }}
    {%- else %}
        {{- '<|start_header_id|>' + message.role + '<|end_header_id|>\\n\\n' + message.content | trim + '<|eot_id|>' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"""

# Thoughts are taken out of answers before the last question, from the text or from a field; calls stand in the answer.
QWEN_3 = """\
{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}
    {{- '# Tools\\n\\n<tools>' }}
    {%- for tool in tools %}{{ '\\n' + (tool | tojson) }}{% endfor %}
    {{- '\\n</tools><|im_end|>\\n' }}
{%- elif messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(seek=true, last=messages | length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages | length - 1) - loop.index0 %}
    {%- set answers = message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>') %}
    {%- if ns.seek and message.role == 'user' and not answers %}
        {%- set ns.seek = false %}{% set ns.last = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n' }}
    {%- elif message.role == 'assistant' %}
        {%- set thought = '' %}
        {%- if message.reasoning_content is string %}
            {%- set thought = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set thought = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {{- '<|im_start|>assistant\\n' }}
        {%- if loop.index0 > ns.last and (loop.last or thought) %}
            {{- '<think>\\n' + thought.strip('\\n') + '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}{{ content }}{% endif %}
        {%- for call in message.tool_calls or [] %}
            {%- if not loop.first or content %}{{ '\\n' }}{% endif %}
            {{- '<tool_call>\\n{"name": "' + call.function.name + '", "arguments": ' }}
            {{- (call.function.arguments | tojson) + '}\\n</tool_call>' }}
        {%- endfor %}
        {{- '<|im_end|>\\n' }}
    {%- elif message.role == 'tool' %}
        {%- if loop.first or messages[loop.index0 - 1].role != 'tool' %}{{ '<|im_start|>user' }}{% endif %}
        {{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}
        {%- if loop.last or messages[loop.index0 + 1].role != 'tool' %}{{ '<|im_end|>\\n' }}{% endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}{{ '<think>\\n\\n</think>\\n\\n' }}{% endif %}
{%- endif %}"""

# Begins a thought in its prompt for an answer, and not in what it writes of earlier ones.
ASKING = "{%- if add_generation_prompt %}\n    {{- '<|im_start|>assistant\\n' }}"
PROMPTS_FOR_THOUGHT = QWEN_3.replace(ASKING, ASKING.replace("assistant\\n", "assistant\\n<think>\\n"))

# The system turn opens the last question, wherever the chat is; turns must take turns; no prompt for an answer.
MISTRAL = """\
{%- if messages[0].role == 'system' %}
    {%- set told = messages[0].content %}{% set loop_messages = messages[1:] %}
{%- else %}{% set loop_messages = messages %}{% endif %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('After the optional system message, roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- if message.role == 'user' %}
        {%- if loop.last and told is defined or (told is defined and loop.index0 == loop_messages | length - 2) %}
            {{- '[INST] ' + told + '\\n\\n' + message.content + '[/INST]' }}
        {%- else %}{{ '[INST] ' + message.content + '[/INST]' }}{% endif %}
    {%- elif message.role == 'assistant' %}{{ ' ' + message.content + eos_token }}
    {%- else %}{{ raise_exception('Only user and assistant roles are supported') }}{% endif %}
{%- endfor %}"""

# Has no system turn, calls the assistant model, trims what is said.
GEMMA = """\
{{- bos_token }}
{%- if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{%- for message in messages %}
    {%- if (message.role == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}
    {%- endif %}
    {%- set role = 'model' if message.role == 'assistant' else message.role %}
    {{- '<start_of_turn>' + role + '\\n' + message.content | trim + '<end_of_turn>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"""

# Ends a text that asks for no answer with a token of its own (Phi 3).
PHI_3 = """\
{%- for message in messages %}
    {{- '<|' + message.role + '|>\\n' + message.content + '<|end|>\\n' }}
{%- endfor %}
{{- '<|assistant|>\\n' if add_generation_prompt else eos_token }}"""

# Writes what an answer is for into the answer's label, thoughts of the last answer alone, and the last end as another token;
# words beside a call are not written (gpt-oss).
HARMONY = """\
{%- for message in messages %}
    {%- if message.role == 'assistant' %}
        {%- if message.tool_calls %}
            {%- set call = message.tool_calls[0].function %}
            {{- '<|start|>assistant to=functions.' + call.name + '<|channel|>commentary<|message|>' }}
            {{- (call.arguments | tojson) + '<|call|>' }}
        {%- else %}
            {%- if message.thinking and loop.last %}
                {{- '<|start|>assistant<|channel|>analysis<|message|>' + message.thinking + '<|end|>' }}
            {%- endif %}
            {{- '<|start|>assistant<|channel|>final<|message|>' + message.content }}
            {{- '<|return|>' if loop.last else '<|end|>' }}
        {%- endif %}
    {%- elif message.role == 'tool' %}
        {%- set call = messages[loop.index0 - 1].tool_calls[0].function %}
        {{- '<|start|>functions.' + call.name + ' to=assistant<|message|>' + message.content + '<|end|>' }}
    {%- else %}{{ '<|start|>' + message.role + '<|message|>' + message.content + '<|end|>' }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}"""

# Takes calls whose arguments are text, and of turns that call only those that say nothing (DeepSeek).
DEEPSEEK = """\
{%- for message in messages %}
    {%- if message.role == 'assistant' and message.content is none %}
        {{- '<|Assistant|><|calls|>' + message.tool_calls[0].function.name + '\\n' }}
        {{- message.tool_calls[0].function.arguments + '\\n<|calls_end|><|end|>' }}
    {%- elif message.role == 'assistant' %}{{ '<|Assistant|>' + message.content + '<|end|>' }}
    {%- else %}{{ '<|' + message.role + '|>' + message.content }}{% endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|Assistant|>' }}{% endif %}"""

# Reads content as a list of parts, as models that see do.
SEEING = """\
{%- for message in messages %}
    {{- message.role + ': ' }}
    {%- for part in message.content %}{% if part.type == 'text' %}{{ part.text }}{% endif %}{% endfor %}
    {{- '<|end|>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"""

# Special tokens of each, the one that begins a text (if there is one) first, then the one that ends it.
TOKENS = {
    CHATML: (None, "<|im_end|>", "<|im_start|>"),
    LLAMA_3: (
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<|eom_id|>",
        "<|python_tag|>",
        "<|start_header_id|>",
        "<|end_header_id|>",
    ),
    QWEN_3: (None, "<|im_end|>", "<|im_start|>"),
    PROMPTS_FOR_THOUGHT: (None, "<|im_end|>", "<|im_start|>"),
    MISTRAL: ("<s>", "</s>", "[INST]", "[/INST]"),
    PHI_3: (None, "</s>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"),
    HARMONY: (None, "<|return|>", "<|end|>", "<|call|>", "<|start|>", "<|channel|>", "<|message|>"),
    DEEPSEEK: (None, "<|end|>", "<|Assistant|>", "<|user|>", "<|tool|>", "<|calls|>", "<|calls_end|>"),
    SEEING: (None, "<|end|>"),
    GEMMA: ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
}
FAMILIES = {
    "chatml": CHATML,
    "llama_3": LLAMA_3,
    "qwen_3": QWEN_3,
    "prompts_for_thought": PROMPTS_FOR_THOUGHT,
    "mistral": MISTRAL,
    "gemma": GEMMA,
}
ODD = {"phi_3": PHI_3, "harmony": HARMONY, "deepseek": DEEPSEEK, "seeing": SEEING}


def family(folder: Path, name: str) -> str:
    """Save a tokenizer of bytes with the chat template and the special tokens of a family."""
    template = (FAMILIES | ODD)[name]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({byte: number for number, byte in enumerate(alphabet)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    bos, eos, *more = TOKENS[template]
    tokenizer.add_special_tokens([token for token in (bos, eos, *more) if token])
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    named = {"bos_token": bos, "eos_token": eos, "chat_template": template}
    config = {key: value for key, value in named.items() if value}
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return str(folder)
