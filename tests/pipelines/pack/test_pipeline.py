import gzip
import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from operators.errors import BadRequest
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from operators.text.tokenizer import load_tokenizer
from operators.tokens.rows import rows_of
from pipelines.config import compose
from pipelines.exits import RunFailed
from pipelines.flow.input.groups import GROUP_BYTES, grouped
from pipelines.ledger.opening import Otherwise
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.pack.artifact import PackedArtifact
from pipelines.pack.job import PackJob
from pipelines.pack.pipeline import PackDocuments
from pipelines.run.execute import run_pipeline
from pipelines.status import show_status
from pipelines.stock.models import local_tokenizer
from tests.tiny_model import make_tiny_model

WINDOW = 32


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(make_tiny_model(tmp_path_factory.mktemp("model")))


@pytest.fixture
def corpus(tmp_path):
    """Three files, one of them packed, with a Korean page, an empty text and a broken line."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(2):
        lines = [
            json.dumps({"id": f"{number}-{i}", "text": f"Mill {i} of file {number}. " * (i % 7 + 1)}) for i in range(40)
        ]
        (folder / f"{number}.jsonl").write_text("\n".join(lines) + "\n")
    with gzip.open(folder / "2.jsonl.gz", "wt") as file:
        file.write(json.dumps({"id": "ko", "text": "물레방아는 강가에 서 있다. " * 30}) + "\n")
        file.write(json.dumps({"id": "empty", "text": ""}) + "\n{broken\n")
    return folder


def pack(corpus, model, output, *words, **how):
    settings = [
        f"input.path={corpus}",
        f"pack.tokenizer={model}",
        f"pack.window={WINDOW}",
        f"output.path={output}",
        *words,
    ]
    return run_pipeline(PackDocuments(compose(PackJob, None, settings)), **{"say": lambda line: None} | how)


def texts(output, model) -> Counter:
    """Give the documents of an artifact, put together from its rows in the order of their ids."""
    packed = PackedArtifact.open(str(output), StorageConfig(), "data.path")
    tokenizer, eos = load_tokenizer(model), packed.packing.eos
    rows = [rows_of(packed.load(shard)) for shard in packed.shards]
    by_id = {id: (r.tokens_RT[i], r.targets_RT[i]) for r in rows for i, id in enumerate(r.ids)}
    names = sorted(by_id, key=lambda id: (id.rpartition("-")[0], int(id.rpartition("-")[2])))
    found, document = Counter(), []
    for token in (t for name in names for t in by_id[name][0][by_id[name][1]].tolist()):
        if token == eos:
            found[tokenizer.decode(document)] += 1
            document = []
        else:
            document.append(token)
    assert not document
    return found


def documents(corpus) -> Counter:
    lines = [line for number in range(2) for line in (corpus / f"{number}.jsonl").read_text().splitlines()]
    lines.append(gzip.decompress((corpus / "2.jsonl.gz").read_bytes()).decode().splitlines()[0])
    return Counter(json.loads(line)["text"] for line in lines)


@pytest.mark.usefixtures("ray_session")
def test_every_document_is_in_the_rows_once_and_what_left_has_a_reason(corpus, model, tmp_path):
    place = pack(corpus, model, tmp_path / "out", "pack.rows_per_part=5")
    assert texts(tmp_path / "out", model) == documents(corpus)
    assert verify(place).whole
    counts = read_records(place).now().counts
    assert counts["documents"] == 83
    assert counts["rejected"]["document"] == {"read/empty_text": 1, "read/invalid_json": 1}
    files = place.names("data")
    table = pa.ipc.open_file(pa.memory_map(f"{tmp_path}/out/{files[0]}")).read_all()
    assert table.schema.field("tokens").type.list_size == WINDOW


@pytest.mark.usefixtures("ray_session")
def test_the_same_documents_give_the_same_rows_whatever_the_shards(corpus, model, tmp_path):
    pack(corpus, model, tmp_path / "a")
    pack(corpus, model, tmp_path / "b", "pack.rows_per_part=3")
    a, b = (PackedArtifact.open(str(tmp_path / name), StorageConfig(), "data.path") for name in "ab")
    assert len(b.shards) > len(a.shards) == 1
    tokens = [np.concatenate([rows_of(p.load(s)).tokens_RT for s in p.shards]) for p in (a, b)]
    assert sorted(map(bytes, tokens[0])) == sorted(map(bytes, tokens[1]))


@pytest.mark.usefixtures("ray_session")
def test_a_damaged_part_is_taken_back_and_packed_again(corpus, model, tmp_path):
    from pipelines.ledger.proof.verify import run_verify

    place = pack(corpus, model, tmp_path / "out")
    name = place.names("data")[0]
    place.publish(name, place.read(name)[:-9] + b"gristmill")
    assert list(verify(place).damaged) == [name]
    with pytest.raises(Exception, match="not whole"):
        run_verify(place, repair=True, say=lambda line: None)
    pack(corpus, model, tmp_path / "out")
    assert verify(place).whole and texts(tmp_path / "out", model) == documents(corpus)


@pytest.mark.usefixtures("ray_session")
def test_a_tokenizer_in_object_storage_is_fetched_where_it_is_needed(corpus, model, tmp_path, s3):
    there = Place("s3://corpus/tokenizer", s3)
    for file in Path(model).iterdir():
        there.publish(file.name, file.read_bytes())
    said = []
    pack(corpus, there.url, tmp_path / "out", f"storage.endpoint_url={s3.endpoint_url}", "input.limit=3")
    # The same tokenizer elsewhere makes no other run.
    pack(corpus, model, tmp_path / "out", "input.limit=3", say=said.append)
    assert any("is complete" in line for line in said)
    first = [json.loads(line)["text"] for line in (corpus / "0.jsonl").read_text().splitlines()[:3]]
    assert texts(tmp_path / "out", model) == Counter(first)
    here = Path(local_tokenizer(f"{there.url}/tokenizer.json", s3))
    assert {"tokenizer.json", "chat_template.jinja"} < {file.name for file in here.iterdir()}
    assert not list(here.glob("*.safetensors"))
    with pytest.raises(BadRequest, match=r"s3://corpus/nothing holds no tokenizer\.json"):
        pack(corpus, "s3://corpus/nothing", tmp_path / "none", f"storage.endpoint_url={s3.endpoint_url}")


@pytest.mark.usefixtures("ray_session")
def test_a_limit_counts_documents_in_order(corpus, model, tmp_path):
    pack(corpus, model, tmp_path / "out", "input.limit=3")
    first = [json.loads(line)["text"] for line in (corpus / "0.jsonl").read_text().splitlines()[:3]]
    assert texts(tmp_path / "out", model) == Counter(first)


@pytest.mark.usefixtures("ray_session")
def test_other_settings_are_refused_and_status_tells_of_rows(corpus, model, tmp_path):
    place = pack(corpus, model, tmp_path / "out")
    with pytest.raises(BadRequest, match=r"pack.cross_document: False there, True now"):
        pack(corpus, model, tmp_path / "out", "pack.cross_document=true")
    show_status(place, (lines := []).append)
    assert "complete" in lines[0]
    beside = pack(corpus, model, tmp_path / "out", "pack.cross_document=true", otherwise=Otherwise.NEW)
    assert beside.url != place.url and verify(beside).whole


def test_small_files_are_packed_together_and_a_limit_packs_all(tmp_path):
    from operators.storage.base import InputFile, Split

    splits = [
        Split(InputFile(str(i), str(i), size, "jsonl"), 0, size) for i, size in enumerate([10, 10, GROUP_BYTES, 10])
    ]
    assert [len(group) for group in grouped(splits, None)] == [2, 1, 1]
    assert [len(group) for group in grouped(splits, 5)] == [4]


def test_what_is_not_packed_or_not_there_is_told(tmp_path):
    with pytest.raises(BadRequest, match=r"data.path is not given"):
        PackedArtifact.open(None, StorageConfig(), "data.path")
    with pytest.raises(
        BadRequest, match=r"is no artifact of gristmill. Give the folder that `gristmill run pack` made"
    ):
        PackedArtifact.open(str(tmp_path), StorageConfig(), "data.path")


def test_the_tokenizer_travels_with_the_rows(corpus, model, tmp_path, ray_session):
    place = pack(corpus, model, tmp_path / "out")
    there = Place(f"{place.url}/tokenizer", StorageConfig())
    assert {"tokenizer.json", "tokenizer_config.json"} <= set(there.names())


@pytest.fixture
def instructions(tmp_path):
    """Examples in three forms, and records that are none."""
    turns = [("user", "Why?"), ("assistant", "So."), ("user", "And how?"), ("assistant", "물레방아.")]
    records = [
        {"instruction": "What is made of flour?", "input": "", "output": "Bread."},
        {"messages": [{"role": role, "content": content} for role, content in turns]},
        {"text": "The mill stands by the river."},
        {"instruction": "What is it?", "output": ""},
        {"body": "nothing of use"},
    ]
    path = tmp_path / "instructions.jsonl"
    path.write_text("\n".join([*map(json.dumps, records), "{broken"]) + "\n")
    return path


def learned(output, model) -> list[str]:
    """Give the runs of targets of an artifact as text, in the order of the rows."""
    packed = PackedArtifact.open(str(output), StorageConfig(), "data.path")
    rows = [rows_of(packed.load(shard)) for shard in packed.shards]
    tokens, targets = (np.concatenate([getattr(r, name).ravel() for r in rows]) for name in ("tokens_RT", "targets_RT"))
    edges = np.flatnonzero(np.diff(np.concatenate([[False], targets, [False]])))
    tokenizer = load_tokenizer(model)
    spans = zip(edges[::2], edges[1::2], strict=True)
    return [tokenizer.decode(tokens[begin:end].tolist(), skip_special_tokens=False) for begin, end in spans]


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize(
    "turns, of_the_chat", [("last", ["물레방아.<|end|>"]), ("all", ["So.<|end|>", "물레방아.<|end|>"])]
)
def test_answers_are_learned_and_records_without_one_are_rejected_by_name(
    instructions, model, tmp_path, turns, of_the_chat
):
    words = ["input.text_column=null", "pack.template=tulu", f"examples.turns={turns}"]
    place = pack(instructions, model, tmp_path / "out", *words)
    plain = "The mill stands by the river.<|end|>"
    found = "".join(learned(tmp_path / "out", model)).replace("<|end|>", "<|end|>\n").splitlines()
    assert sorted(found) == sorted(["Bread.<|end|>", *of_the_chat, plain])
    counts = read_records(place).now().counts
    assert counts["rejected"]["document"] == {
        "read/invalid_json": 1,
        "example/no_answer": 1,
        "example/unknown_form": 1,
    }
    assert verify(place).whole


@pytest.mark.usefixtures("ray_session")
def test_the_frame_is_read_and_not_learned(instructions, model, tmp_path):
    pack(instructions, model, tmp_path / "out", "input.text_column=null", "pack.template=chat", "input.limit=1")
    packed = PackedArtifact.open(str(tmp_path / "out"), StorageConfig(), "data.path")
    tokens = rows_of(packed.load(packed.shards[0])).tokens_RT.ravel().tolist()
    spelt = load_tokenizer(model).decode(tokens, skip_special_tokens=False)
    assert spelt.startswith("<|user|>What is made of flour?<|end|><|assistant|>Bread.<|end|>")
    assert learned(tmp_path / "out", model) == ["Bread.<|end|>"]


@pytest.mark.usefixtures("ray_session")
def test_another_chat_template_is_another_run(instructions, model, tmp_path):
    other = shutil.copytree(model, tmp_path / "other")
    template = other / "chat_template.jinja"
    template.write_text("So it is said: " + template.read_text())
    words = ["input.text_column=null", "pack.template=chat"]
    pack(instructions, model, tmp_path / "out", *words)
    with pytest.raises(BadRequest, match=r"pack\.tokenizer"):
        pack(instructions, str(other), tmp_path / "out", *words)


@pytest.mark.usefixtures("ray_session")
def test_records_that_are_no_examples_may_come_first(instructions, model, tmp_path):
    folder = tmp_path / "several"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps({"about": "these files"}) + "\n")
    long = json.dumps({"instruction": "What is it? " * 9_000, "output": ""})
    (folder / "b.jsonl").write_text(f"{long}\n{instructions.read_text()}")
    pack(folder, model, tmp_path / "out", "input.text_column=null", "pack.template=tulu", "examples.turns=last")
    assert "Bread." in "".join(learned(tmp_path / "out", model))


@pytest.mark.usefixtures("ray_session")
def test_a_broken_file_stops_a_run_that_is_to_stop_there_in_words(instructions, model, tmp_path):
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "a.jsonl.gz").write_bytes(gzip.compress(instructions.read_bytes() * 99)[:-40])
    with pytest.raises(RunFailed, match=r"a\.jsonl\.gz"):
        pack(folder, model, tmp_path / "out", "input.text_column=null", "pack.template=tulu", "input.on_error=fail")


def test_a_template_wants_whole_records_and_whole_records_a_template(instructions, model, tmp_path):
    with pytest.raises(BadRequest, match=r"pack.template=alpaca frames whole records.*Set input.text_column=null"):
        pack(instructions, model, tmp_path / "out", "pack.template=alpaca")
    with pytest.raises(BadRequest, match=r"input.text_column=null reads whole records. Set pack.template"):
        pack(instructions, model, tmp_path / "out", "input.text_column=null")


def test_mistyped_columns_are_told_before_anything_is_spent(corpus, model, tmp_path):
    words = ["input.text_column=null", "pack.template=plain", "examples.plain_column=body"]
    with pytest.raises(
        BadRequest, match=r"none of the first 83 records is an example.*in 0.jsonl, unknown_form: no column"
    ):
        pack(corpus, model, tmp_path / "out", *words)


def chat_rows(output) -> list:
    packed = PackedArtifact.open(str(output), StorageConfig(), "data.path")
    return [rows_of(packed.load(shard)) for shard in packed.shards]


def contexts(output, model) -> list[tuple[str, str]]:
    """Give what each context of an artifact reads and what it learns, but for padding."""
    tokenizer, found = load_tokenizer(model), []
    for rows in chat_rows(output):
        for row, begin, end in rows.segments():
            tokens, targets = rows.tokens_RT[row, begin:end], rows.targets_RT[row, begin:end]
            if targets.any():
                spelt = [
                    tokenizer.decode(some.tolist(), skip_special_tokens=False) for some in (tokens, tokens[targets])
                ]
                found.append(tuple(spelt))
    return found


@pytest.fixture
def long_examples(tmp_path):
    """Examples of which none divides a row, and one far longer than a row."""
    path = tmp_path / "long.jsonl"
    records = [
        {
            "instruction": f"Question {n}. " + "The river turns the wheel. " * (n % 3),
            "output": f"ANSWER{n} He grinds rye.",
        }
        for n in range(24)
    ]
    records.append({"instruction": "What does he do?", "output": "ANSWERLONG " + "He grinds and grinds. " * 60})
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


@pytest.mark.usefixtures("ray_session")
@pytest.mark.parametrize("too_long, longer", [("truncate", "truncated"), ("drop", "dropped"), ("split", "split")])
def test_no_example_is_cut_at_the_end_of_a_row_and_no_answer_is_learned_without_its_question(
    long_examples, model, tmp_path, too_long, longer
):
    words = ["input.text_column=null", "pack.template=tulu", "pack.window=96", f"pack.too_long={too_long}"]
    place = pack(long_examples, model, tmp_path / "out", *words)
    found = contexts(tmp_path / "out", model)
    for n in range(24):
        ((read, learned),) = [pair for pair in found if f"ANSWER{n} " in pair[1]]
        assert learned == f"ANSWER{n} He grinds rye.<|end|>" and f"Question {n}." in read
    rest = [pair for pair in found if not pair[1].startswith("ANSWER") or "LONG" in pair[1]]
    assert all("What does he do?" in read for read, _ in rest)
    assert len(rest) == {"truncate": 1, "drop": 0}.get(too_long, len(rest)) and (too_long != "split" or len(rest) > 3)
    if too_long == "split":
        assert "".join(learned for _, learned in rest) == "ANSWERLONG " + "He grinds and grinds. " * 60 + "<|end|>"
    counts = read_records(place).now().counts
    assert counts["longer"] == {longer: 1}
    assert counts["rejected"].get("document", {}) == ({"pack/too_long": 1} if too_long == "drop" else {})
    rows = chat_rows(tmp_path / "out")

    def padding_of(rows) -> int:
        return sum(end - begin for row, begin, end in rows.segments() if not rows.targets_RT[row, begin:end].any())

    assert counts["tokens"] == sum(int(r.tokens_RT.size - padding_of(r)) for r in rows)
    said = place.read("README.md").decode()
    assert f"| examples longer than a row | 1 ({longer} 1) |" in said and "% padding" in said
    assert verify(place).whole


@pytest.mark.usefixtures("ray_session")
def test_what_records_have_and_the_template_no_place_for_is_told(model, tmp_path):
    path = tmp_path / "chats.jsonl"
    told = [
        {
            "messages": [
                {"role": "user", "content": "Why?"},
                {"role": "assistant", "content": "So.", "reasoning_content": "Hm."},
            ]
        },
        {
            "system": "Be short.",
            "conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "Thus."}],
        },
        {"instruction": "And?", "output": "Yes.", "history": [["Why?", "So."]], "tools": [{"name": "look"}]},
        {"instruction": "And?", "output": "No.", "system": "Be short.", "system_prompt": "Be long.", "tools": "none"},
    ]
    path.write_text("".join(json.dumps(record) + "\n" for record in told))
    place = pack(path, model, tmp_path / "out", "input.text_column=null", "pack.template=chat", "pack.window=64")
    counts, said = read_records(place).now().counts, place.read("README.md").decode()
    assert counts["unplaced"] == {"reasoning_content": 1, "tools": 1} and counts["unused"] == {"system": 1, "tools": 1}
    assert "| left out, as template chat has no place for it | reasoning_content 1, tools 1 |" in said
    assert "| left out, as no example has a place for it | system 1, tools 1 |" in said
    read = "".join(text for text, _ in contexts(tmp_path / "out", model))
    assert "Be short." in read and "<|user|>Why?<|end|><|assistant|>So.<|end|><|user|>And?" in read


ASKED, ANSWERED = {"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So."}
FORMS = [
    {"messages": [ASKED, ANSWERED]},
    {"messages": json.dumps([ASKED, ANSWERED])},
    {"conversations": [{"from": "human", "value": "Why?"}, {"from": "gpt", "value": "So."}]},
    {"prompt": "Why?", "completion": "So."},
    {"prompt": [ASKED], "completion": [ANSWERED]},
    {"instruction": "Why?", "input": None, "output": "So."},
    {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}, ANSWERED]},
]


@pytest.mark.usefixtures("ray_session")
def test_every_form_of_a_record_is_read_and_learned_alike(model, tmp_path):
    folder = tmp_path / "forms"
    folder.mkdir()
    (folder / "lines.jsonl").write_text("".join(json.dumps(form) + "\n" for form in FORMS))
    lists = pa.struct([("role", pa.list_(pa.string())), ("content", pa.list_(pa.string()))])
    turns = {"role": ["user", "assistant"], "content": ["Why?", "So."]}
    pa.parquet.write_table(pa.table({"messages": pa.array([turns] * 2, lists)}), folder / "lists.parquet")
    objects = pa.array([[ASKED | {"weight": None, "tool_calls": None}, ANSWERED | {"weight": 1, "tool_calls": None}]])
    pa.parquet.write_table(pa.table({"messages": objects}), folder / "objects.parquet")
    place = pack(folder, model, tmp_path / "out", "input.text_column=null", "pack.template=chat")
    found = contexts(tmp_path / "out", model)
    assert found == [("<|user|>Why?<|end|><|assistant|>So.<|end|>", "So.<|end|>")] * (len(FORMS) + 3)
    assert read_records(place).now().counts["rejected"] == {}
