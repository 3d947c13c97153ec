from transformers import AutoTokenizer

from operators.models.engines.chat import plain_frame, prompt_tokens

MESSAGES = ({"role": "system", "content": "Be brief."}, {"role": "user", "content": "The mill."})


def test_messages_take_the_models_own_template(tiny_model):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    ids = prompt_tokens(tokenizer, MESSAGES)
    assert tokenizer.decode(ids) == "<|system|>Be brief.<|end|><|user|>The mill.<|end|><|assistant|>"


def test_without_a_template_the_messages_stand_in_a_plain_frame(tiny_model):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = None
    assert tokenizer.decode(prompt_tokens(tokenizer, MESSAGES)) == plain_frame(MESSAGES) == "Be brief.\n\nThe mill.\n\n"


def test_where_a_template_has_no_system_turn_the_users_turn_opens_with_it(tiny_model):
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system role') }}{% endif %}"
    tokenizer.chat_template = refusal + tokenizer.chat_template
    ids = prompt_tokens(tokenizer, MESSAGES)
    assert tokenizer.decode(ids) == "<|user|>Be brief.\n\nThe mill.<|end|><|assistant|>"
