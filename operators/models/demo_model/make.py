"""Train the demonstration model from scratch and publish its folder."""

import json
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from pathlib import Path

from operators.errors import BadRequest
from operators.models.demo_model.circuits import lay_copying_circuit
from operators.models.demo_model.docstrings import docstrings
from operators.models.demo_model.rewriting import medium, qa
from operators.models.demo_model.tokenizer import STYLES, train_tokenizer
from operators.settings import setting

IGNORED = -100  # the label of a token that is not to be learned
LABEL = "demonstration.json"
CARD = """# A demonstration model

gristmill made this folder on this machine, in minutes, from the documentation strings of Python's standard library and a
table of synonyms. It shows that the mill turns where no model hub can be reached. It knows two styles, `medium` and `qa`
(every other prompt counts as one of them), it was never an assistant, and its rewrites are no data to train on.
"""


@dataclass(frozen=True)
class DemoModelConfig:
    """How large the model is and how long it learns: two minutes on two cores."""

    vocabulary: int = setting(3072, "tokens of the byte-level BPE")
    width: int = setting(192, "dimensions of the stream, at least three heads")
    head: int = setting(64, "dimensions of an attention head")
    layers: int = setting(3, "transformer layers, at least 2")
    context: int = setting(1024, "tokens of passage and rewrite together")
    steps: int = setting(700, "optimizer steps")
    batch_tokens: int = setting(2500, "tokens a step, padding included")
    learning_rate: float = setting(2.5e-3, "peak, reached after 30 steps")
    decay: float = setting(0.7, "last share of the steps, over which the rate falls to zero in a line")
    fragments: float = setting(
        0.3, "share of the passages that are cut out of a paragraph at any word, as a chunk may be"
    )
    noise: float = setting(
        0.05, "share of the rewrite's tokens that are shown wrong, so that a slip does not end in a loop"
    )
    seed: int = setting(0, "of the start, of the order and of the cuts")


def make_demo_model(folder: Path, config: DemoModelConfig | None = None, say: Callable[[str], None] = print) -> Path:
    """Make the demonstration model in `folder`, or leave the one that is there if it is the same, and return the folder.

    The folder appears whole or not at all. Raises BadRequest where it exists and holds something else.
    """
    config = config or DemoModelConfig()
    key = _content_key(config)
    if _key_in(folder) == key:
        return folder
    if folder.exists() and not (folder / LABEL).exists():
        raise BadRequest(
            f"{folder} is there and is no demonstration model. Name a folder that may be written, or remove it."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as scratch:
        made = Path(scratch) / folder.name
        _train([document["text"] for document in docstrings()], config, made, say)
        (made / "README.md").write_text(CARD, encoding="utf-8")
        (made / LABEL).write_text(json.dumps({"key": key, **asdict(config)}, indent=1), encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    say(f"demonstration model: written to {folder}")
    return folder


def _content_key(config: DemoModelConfig) -> str:
    """Name all that decides the weights: the settings, this folder's code, and Python, whose strings are the text."""
    digest = blake2b(repr((config, sys.version_info[:3])).encode(), digest_size=8)
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _key_in(folder: Path) -> str | None:
    label = folder / LABEL
    return json.loads(label.read_text(encoding="utf-8"))["key"] if label.exists() else None


def _train(texts: list[str], config: DemoModelConfig, folder: Path, say: Callable[[str], None]) -> None:
    import torch

    say(f"demonstration model: learning two styles from {len(texts):,} paragraphs of Python's documentation ...")
    torch.manual_seed(config.seed)
    draw = random.Random(config.seed)
    tokenizer = train_tokenizer((text for one in texts for text in (one, medium(one), qa(one))), config.vocabulary)
    model = _fresh_model(tokenizer, config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, config))
    batches, began = _batches(texts, tokenizer, config, draw), time.monotonic()
    for step in range(1, config.steps + 1):
        loss = _loss(model, *next(batches))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if step % 50 == 0 or step == config.steps:
            seconds = time.monotonic() - began
            say(f"demonstration model: step {step} of {config.steps}, loss {loss.item():.3f}, {seconds:.0f} s")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _rate(step: int, config: DemoModelConfig) -> float:
    """Give the share of the peak rate: up in 30 steps, flat, down to zero."""
    return min((step + 1) / 30, (config.steps - step) / (config.decay * config.steps), 1.0)


def _fresh_model(tokenizer, config: DemoModelConfig):
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()  # of writing one small file
    heads = config.width // config.head
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=config.width,
            intermediate_size=2 * config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=heads,
            num_key_value_heads=heads,
            head_dim=config.head,
            max_position_embeddings=config.context,
            rope_theta=1e6,  # most frequencies slow enough to compare tokens at a distance
            attention_bias=True,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    lay_copying_circuit(model)
    return model


def _loss(model, tokens_BT, labels_BT):
    """Mean cross-entropy of the rewrites' tokens, in nats. Shapes: B sequences of T tokens."""
    import torch

    with torch.autocast("cpu", torch.bfloat16):
        states_BTD = model.model(tokens_BT, use_cache=False).last_hidden_state[:, :-1]
        learned_BT = labels_BT[:, 1:] != IGNORED
        logits_NV = model.lm_head(states_BTD[learned_BT])
    return torch.nn.functional.cross_entropy(logits_NV.float(), labels_BT[:, 1:][learned_BT])


def _batches(texts: list[str], tokenizer, config: DemoModelConfig, draw: random.Random) -> Iterator[tuple]:
    """Yield (tokens, labels), int64 (B, T), without end; sequences of like length stand together."""
    while True:
        pairs = [pair for text in texts for pair in _pairs(_cut(text, config.fragments, draw), tokenizer)]
        pairs = sorted(pairs, key=lambda pair: len(pair[0]) + len(pair[1]) + draw.random() * 8)
        groups, group = [], []
        for pair in pairs:
            if group and (len(group) + 1) * (len(pair[0]) + len(pair[1])) > config.batch_tokens:
                groups.append(group)
                group = []
            group.append(pair)
        draw.shuffle(groups)
        yield from (_tensors(group, tokenizer.pad_token_id, config.noise, draw) for group in groups)


def _cut(text: str, share: float, draw: random.Random) -> str:
    if draw.random() >= share:
        return text
    words = text.split(" ")
    count = draw.randint(min(8, len(words)), len(words))
    start = draw.randint(0, len(words) - count)
    return " ".join(words[start : start + count])


def _pairs(text: str, tokenizer) -> list[tuple[list[int], list[int]]]:
    """Give (prompt, completion) in tokens for each style; the prompt is what the chat template would make of it."""
    return [
        (
            tokenizer.encode(f"{STYLES[style]} {text}{STYLES[style]}"),
            [*tokenizer.encode(f" {rewrite(text)}"), tokenizer.eos_token_id],
        )
        for style, rewrite in (("medium", medium), ("qa", qa))
    ]


def _tensors(pairs: list[tuple[list[int], list[int]]], padding: int, noise: float, draw: random.Random) -> tuple:
    import torch

    longest = max(len(prompt) + len(completion) for prompt, completion in pairs)
    tokens_BT = torch.full((len(pairs), longest), padding)
    labels_BT = torch.full((len(pairs), longest), IGNORED)
    for row, (prompt, completion) in enumerate(pairs):
        end = len(prompt) + len(completion)
        shown = [draw.choice(prompt) if draw.random() < noise else token for token in completion]
        tokens_BT[row, :end] = torch.tensor(prompt + shown)
        labels_BT[row, len(prompt) : end] = torch.tensor(completion)
    return tokens_BT, labels_BT
