"""Models that measure, tables of a pool, and what the features should be, said plainly."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from tests.tiny_model import TRAINING_TEXT

TEXT = [
    *TRAINING_TEXT,
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
    "### Instruction:\n### Input:\n### Response: Human: Assistant: Instruction: Response: The answer is: 1 2 3 4 5 6",
]

BEFORE = (
    "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Response:"
)
LABEL = "### Response:"


def make_scorer(folder: Path, bos: bool = False, context_tokens: int = 512, seed: int = 0) -> str:
    """Save a tiny Llama that has opinions, with a tokenizer whose id 0 is "!", as that of Qwen2 and Llama-3."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False))
    bpe.add_special_tokens(["<|begin|>", "<|end|>"])
    if bos:
        begin = ("<|begin|>", bpe.token_to_id("<|begin|>"))
        bpe.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[begin])
    assert bpe.token_to_id("!") == 0
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=bpe, bos_token="<|begin|>", eos_token="<|end|>")
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=context_tokens,
    )
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.2)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def pool(*records: dict | str) -> pa.Table:
    """Make rows of a pool of records; a string is a plain text."""
    texts = [json.dumps({"text": record} if isinstance(record, str) else record) for record in records]
    ids = [f"row-{number}" for number in range(len(records))]
    return pa.table({"id": pa.array(ids, pa.string()), "record": pa.array(texts, pa.large_string())})


def asked(question: str, answer: str) -> dict:
    return {"instruction": question, "input": "", "output": answer}


class Plain:
    """The model and its tokenizer in float64, one text at a time."""

    def __init__(self, model: str, bos: bool):
        self.tokenizer = Tokenizer.from_file(f"{model}/tokenizer.json")
        self.network = AutoModelForCausalLM.from_pretrained(model).double().eval()
        self.first = [self.tokenizer.token_to_id("<|begin|>")] if bos else []
        self.end = self.tokenizer.token_to_id("<|end|>")

    def encode(self, text: str) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def spans(self, before: str, answer: str) -> tuple[list[int], int]:
        """Tokens of both, and how many are before the answer; a token with characters of both is taken apart."""
        encoding = self.tokenizer.encode(before + answer, add_special_tokens=False)
        crossing = any(begin < len(before) < end for begin, end in encoding.offsets)
        if crossing:
            return [*self.first, *self.encode(before), *self.encode(answer)], len(self.first + self.encode(before))
        return [*self.first, *encoding.ids], len(self.first) + sum(begin < len(before) for begin, _ in encoding.offsets)

    def log_probs(self, ids: list[int]) -> torch.Tensor:
        with torch.no_grad():
            return self.network(torch.tensor([ids])).logits[0].log_softmax(-1)

    def token_losses(self, ids: list[int]) -> list[float]:
        """The loss of each token given those before; the first has none."""
        log_probs = self.log_probs(ids)
        return [float("nan"), *(-log_probs[place - 1, ids[place]].item() for place in range(1, len(ids)))]

    def mean_loss(self, before: str, answer: str, ending: bool = False) -> float:
        ids, begin = self.spans(before, answer)
        losses = self.token_losses([*ids, self.end] if ending else ids)
        return float(np.mean(losses[max(begin, 1) :]))

    def states(self, ids: list[int]) -> np.ndarray:
        with torch.no_grad():
            return self.network.base_model(torch.tensor([ids])).last_hidden_state[0].numpy()
