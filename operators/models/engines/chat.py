"""How chat messages become the tokens of one prompt, the same for every engine that holds a tokenizer."""

from collections.abc import Iterable
from typing import Any


def prompt_tokens(tokenizer: Any, messages: Iterable[dict]) -> list[int]:
    """Frame the messages as the model was taught to, and encode them.

    `tokenizer` is one of Hugging Face's kind. Without a chat template the messages stand in a plain frame.
    Raises jinja2.TemplateError where the model's template refuses the messages.
    """
    messages = list(messages)
    if not getattr(tokenizer, "chat_template", None):
        return tokenizer.encode(plain_frame(messages))
    # The template writes the special tokens itself.
    return tokenizer.encode(_templated(tokenizer, messages), add_special_tokens=False)


def plain_frame(messages: Iterable[dict]) -> str:
    """Put the messages under each other with blank lines between, and room for the answer below."""
    return "".join(f"{message['content']}\n\n" for message in messages)


def _templated(tokenizer: Any, messages: list[dict]) -> str:
    from jinja2 import TemplateError

    try:
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    except TemplateError:
        # Some families (Gemma, the first Mistral-Instruct) have no system turn: there it opens the user's.
        if [message["role"] for message in messages[:2]] != ["system", "user"]:
            raise
        opening = {"role": "user", "content": plain_frame(messages[:2]).rstrip("\n")}
        return tokenizer.apply_chat_template([opening, *messages[2:]], tokenize=False, add_generation_prompt=True)
