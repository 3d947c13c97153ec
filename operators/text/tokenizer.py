"""Count tokens: by a model's own tokenizer, by an approximate one where that is not known, or by a guess per word."""

import json
import re
from hashlib import blake2b
from pathlib import Path

from tokenizers import Regex, Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Split

from operators.errors import BadRequest

FILE = "tokenizer.json"
OTHER_FILES = ("tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")

# About one token of the usual vocabularies of 32,000 to 150,000 entries: up to 8 letters of a script with capitals, and
# the space before them; else one letter (a Chinese character, a Korean syllable), mark, digit, sign or run of white space.
APPROXIMATE_TOKEN = r" ?[\p{Latin}\p{Greek}\p{Cyrillic}]{1,8}|\S|\s+(?=\s\S)|\s+"

WORD = re.compile(r"\w+|[^\w\s]")
PUNCTUATION = ".,;:!?()[]\"'“”«»-"


def load_tokenizer(name: str) -> Tokenizer:
    """Load a tokenizer for counting: it neither cuts nor pads, whatever its file says.

    `name` is a folder with a tokenizer.json, such a file, or a model of the Hugging Face hub (from the local cache alone
    where HF_HUB_OFFLINE is set). Raises BadRequest if there is none, or if it cannot be read.
    """
    path = _find(name)
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library has no error class of its own
        raise BadRequest(f"{path} is not a tokenizer file: {error}. Give a folder that holds a {FILE}.") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def approximate_tokenizer() -> Tokenizer:
    """Build a tokenizer for models whose own is out of reach: its counts are approximate, for most models a little high.

    It has no vocabulary: each piece of APPROXIMATE_TOKEN counts as one token. Against a byte-level BPE of 32,000 entries
    it counts about 12% more on English; for scripts that a model's vocabulary leaves out it may count too few.
    """
    tokenizer = Tokenizer(WordLevel({"?": 0}, unk_token="?"))
    tokenizer.pre_tokenizer = Split(Regex(APPROXIMATE_TOKEN), behavior="isolated")
    return tokenizer


def contents_digest(tokenizer: Tokenizer) -> str:
    """Digest what decides which tokens a text has, so that copies of a tokenizer agree, whatever they cut, pad or add."""
    content = json.loads(tokenizer.to_str())
    deciding = {key: content.get(key) for key in ("normalizer", "pre_tokenizer", "model", "added_tokens")}
    return blake2b(json.dumps(deciding, sort_keys=True).encode(), digest_size=16).hexdigest()


def count_tokens(tokenizer: Tokenizer, texts: list[str]) -> list[int]:
    """Count the tokens of each text alone, without special tokens."""
    return [len(encoding) for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


class WordCosts(dict):
    """How many tokens a word may cost: a guess that is made once per word, without encoding it.

    1 for each run of letters or sign that the vocabulary knows, 1 + bytes / 5 for the others. It depends on the word
    alone, so that what is built on it does not depend on what was seen before. Keys are words without white space.
    """

    CAPACITY = 1 << 18  # words kept, about 30 MB
    LONGEST = 32  # characters; longer words do not come back

    def __init__(self, tokenizer: Tokenizer):
        tokens = tokenizer.decode_batch([[token] for token in range(tokenizer.get_vocab_size())])
        self.known = {token.strip().lower() for token in tokens}

    def __missing__(self, word: str) -> float:
        lower = word.lower()
        bare = lower.strip(PUNCTUATION)
        # Most words are letters with a comma or a quote: they need no search for their parts.
        parts = [bare] if bare.isalnum() else WORD.findall(lower)
        cost = sum([1 if part in self.known else 1 + len(part.encode()) / 5 for part in parts])
        if bare.isalnum():
            cost += len(lower) - len(bare)
        if len(word) <= self.LONGEST:
            if len(self) >= self.CAPACITY:
                self.clear()
            self[word] = cost
        return cost

    def of(self, text: str) -> float:
        """Guess the tokens of a text as the sum over its words; of white space alone, by its length."""
        return sum(map(self.__getitem__, text.split())) or len(text) / 5


def small_file(name: str, file: str) -> Path | None:
    """Find another file of a tokenizer's model, as load_tokenizer finds its own; None where there is none."""
    path = Path(name).expanduser()
    if path.exists():
        beside = (path if path.is_dir() else path.parent) / file
        return beside if beside.is_file() else None
    try:
        return _download(name, file)
    except BadRequest:
        return None


def tokenizer_files(name: str) -> dict[str, Path]:
    """Find the files that make up a tokenizer, by their names."""
    found = {FILE: _find(name)} | {other: small_file(name, other) for other in OTHER_FILES}
    return {file: path for file, path in found.items() if path}


def eos_of(name: str) -> str | None:
    """Read which token ends a text from the files beside a tokenizer; None where they do not say."""
    for file in ("tokenizer_config.json", "special_tokens_map.json"):
        path = small_file(name, file)
        token = _read(path).get("eos_token") if path else None
        if token:
            return token["content"] if isinstance(token, dict) else token
    return None


def _read(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BadRequest(f"{path} is not valid JSON ({error}). Copy or download the tokenizer again.") from error


def _find(name: str) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        if (path / FILE).is_file():
            return path / FILE
        raise BadRequest(f"the folder {name} holds no {FILE}. Give a model folder that has one, or another tokenizer.")
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1 or name.endswith(".json"):
        raise BadRequest(f"no tokenizer at {name}. Give a {FILE}, a folder that holds one, or a model name of the hub.")
    return _download(name)


def _download(name: str, file: str = FILE) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    try:
        return Path(hf_hub_download(name, file))
    except (HfHubHTTPError, HFValidationError, OSError) as error:  # OSError: not cached while offline, or no connection
        raise BadRequest(
            f"no tokenizer named {name}: there is no such folder, and the hub gave none ({type(error).__name__}). "
            f"Give a folder that holds a {FILE}, or a model name of the hub that this machine can reach."
        ) from error
