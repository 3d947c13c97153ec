import gc
import json
import math
from contextlib import ExitStack
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from operators.errors import BadRequest
from operators.examples.prompting import PromptingConfig
from operators.storage.config import StorageConfig
from operators.storage.place import Place
from pipelines.choose.spec import spec_of
from pipelines.config import compose
from pipelines.exits import RunFailed
from pipelines.ledger.lease import Keeper, myself
from pipelines.ledger.opening import Otherwise
from pipelines.ledger.proof.repair import mend
from pipelines.ledger.proof.verify import verify
from pipelines.ledger.reading import read_records
from pipelines.ledger.records import State
from pipelines.ledger.tenure import claim
from pipelines.select.job import SelectJob
from pipelines.select.pipeline import Select
from pipelines.select.report import EMBEDDED, TextEmbedder
from tests.pipelines.chain import run
from tests.pipelines.instruction_rows import instruction_rows, make_pool, write_rows

pytestmark = pytest.mark.usefixtures("ray_session")
ZIP = ["zip.k1=20", "zip.k2=8", "zip.k3=4"]
KINDS = ("pool", "likelihood", "choice")  # of the artifacts that stand in the folder of features


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_pool(tmp_path_factory.mktemp("select"))


def select(folder, name: str, *words: str, input: str = "pool.jsonl", **how) -> Place:
    common = [f"input.path={folder / input}", "report.sample=4", f"output.path={folder / name}"]
    return run("select", *common, *words, **how)


def chosen(place: Place, label: str) -> list[dict]:
    parts = sorted(name for name in place.names(f"data/{label}"))
    return [row for part in parts for row in pq.read_table(place.open(part)).to_pylist()]


def artifacts(folder, kind: str) -> dict[str, int]:
    """Name the artifacts of a kind among the features, with the number of their latest epoch: how often they were begun."""
    features = Place(str(folder), StorageConfig())
    names = [name for name in features.folders() if name.startswith(kind)]
    return {name: read_records(Place(str(folder / name), StorageConfig())).number for name in names}


def test_selectors_stand_side_by_side_and_each_choice_is_a_data_set(folder):
    place = select(folder, "side", "selectors=[random,random:seed=1,zip]", "budget.rows=7", *ZIP)
    for label in ("random", "random-seed-1", "zip"):
        rows = chosen(place, label)
        assert [row["pick"] for row in rows] == list(range(7))
        assert len({row["id"] for row in rows}) == 7
    assert {row["id"] for row in chosen(place, "random")} != {row["id"] for row in chosen(place, "random-seed-1")}
    assert verify(place).whole
    assert "zip" in place.read("report.html").decode()
    measures = json.loads(place.read("report.json"))
    assert [choice["label"] for choice in measures["choices"]] == ["random", "random-seed-1", "zip"]


def test_a_choice_loads_as_a_data_set_and_keeps_its_records_as_they_were(folder):
    from datasets import load_dataset

    place = select(folder, "loads", "selectors=random", "budget.share=0.5")
    loaded = load_dataset(str(folder / "loads"), "random", split="train")
    records = {row["id"]: row for row in instruction_rows(60)}
    assert len(loaded) == 30
    for row in loaded:
        assert json.loads(row["record"]) == records[row["id"]]
        assert [turn["role"] for turn in row["messages"]] == ["user", "assistant"]
    assert verify(place).whole


def test_a_selector_that_can_choose_no_row_says_what_all_of_them_meet(folder):
    words = ["selectors=[perplexity]", f"scorer.path={folder / 'model'}", "prompting.max_tokens=3"]
    with pytest.raises(BadRequest, match="perplexity could choose none of the 60 rows: too_long 60"):
        select(folder, "nobody", "budget.share=0.5", *words)


@pytest.mark.long
def test_another_budget_measures_nothing_twice(folder):
    words = ["selectors=[cross_entropy,ifd]", f"scorer.path={folder / 'model'}", "budget.allow_short=true"]
    shared = f"features.path={folder / 'shared'}"
    said = [], []
    first = select(folder, "budget-5", "budget.rows=5", shared, *words, say=said[0].append)
    before = artifacts(folder / "shared", "likelihood")
    second = select(folder, "budget-9", "budget.rows=9", shared, *words, say=said[1].append)
    needed = [{kind for kind in KINDS for line in lines if f"/{kind}-" in line} for lines in said]
    assert needed == [set(KINDS), {"choice"}]
    assert artifacts(folder / "shared", "likelihood") == before and len(before) == 1
    five, nine = ([row["id"] for row in chosen(place, "cross_entropy")] for place in (first, second))
    assert nine[:5] == five
    losses = [row["answer_loss"] for row in chosen(second, "cross_entropy")]
    assert losses == sorted(losses, reverse=True) and all(map(math.isfinite, losses))


def test_the_order_of_files_and_their_number_decide_nothing_for_random(folder):
    rows = instruction_rows(60)
    parts = folder / "parts"
    parts.mkdir()
    for number in range(3):
        write_rows(parts / f"{2 - number}.jsonl", rows[number * 20 : number * 20 + 20])
    whole = select(folder, "whole", "selectors=random", "budget.rows=8")
    cut = select(folder, "cut", "selectors=random", "budget.rows=8", input="parts")
    assert [row["id"] for row in chosen(whole, "random")] == [row["id"] for row in chosen(cut, "random")]


@pytest.mark.long
def test_features_of_rows_that_could_not_be_measured_are_whole(folder):
    texts = [{"id": f"text-{number}", "text": f"The mill grinds {number} sacks of grain."} for number in range(3)]
    write_rows(folder / "texts.jsonl", [*instruction_rows(5), *texts])
    shared = folder / "texts-features"
    words = [f"scorer.path={folder / 'model'}", f"features.path={shared}", "budget.rows=8", "budget.allow_short=true"]
    select(folder, "texts", "selectors=ifd", *words, input="texts.jsonl")
    (likelihood,) = artifacts(shared, "likelihood")
    place = Place(str(shared / likelihood), StorageConfig())
    assert read_records(place).now().counts["unmeasured"] == {"no_prompt": 3}
    assert verify(place).whole


def test_bad_rows_are_rejected_by_name_and_the_others_are_there(folder):
    good = instruction_rows(5)
    bad = [
        {"id": "no-answer", "instruction": "Say something.", "input": "", "output": ""},
        {"id": "empty", "text": "  "},
        {"id": "unknown", "body": "no field that is known"},
        {"id": "turns", "messages": "not a list"},
    ]
    lines = [json.dumps(row) for row in [*good, *bad]] + ["{not json"]
    (folder / "bad.jsonl").write_text("\n".join(lines) + "\n")
    shared = folder / "bad-features"
    words, said = ["selectors=random", "budget.share=1", f"features.path={shared}"], []
    place = select(folder, "bad", *words, input="bad.jsonl", say=said.append)
    assert any("are not in the pool" in line and "no_answer" in line for line in said)
    assert {row["id"] for row in chosen(place, "random")} == {row["id"] for row in good}
    (pool,) = artifacts(shared, "pool")
    counts = read_records(Place(str(shared / pool), StorageConfig())).now().counts["rejected"]["document"]
    assert counts == {
        "example/no_answer": 1,
        "example/empty": 1,
        "example/unknown_form": 1,
        "example/bad_turns": 1,
        "read/invalid_json": 1,
    }


@pytest.mark.long
def test_rows_with_the_id_of_another_are_told_apart_by_place(folder):
    (folder / "sets").mkdir()
    for number, seed in enumerate((0, 7)):
        rows = instruction_rows(6, seed=seed)
        write_rows(folder / "sets" / f"{number}.jsonl", [row | {"id": place} for place, row in enumerate(rows)])
    write_rows(folder / "sets" / "2.jsonl", [instruction_rows(1, seed=9)[0] | {"id": "alone"}])
    said, shared = [], f"features.path={folder / 'sets-features'}"
    words = ["selectors=[random,zip,cross_entropy]", "budget.share=1", f"scorer.path={folder / 'model'}", shared]
    place = select(folder, "twice", *words, *ZIP, "budget.allow_short=true", input="sets", say=said.append)
    for label in ("random", "zip", "cross_entropy"):
        rows = chosen(place, label)
        assert len(rows) == len({row["id"] for row in rows}) == 13
        assert all(str(json.loads(row["record"])["id"]) == row["id"].partition("@")[0] for row in rows)
    assert sum("@" not in row["id"] for row in rows) == 1 and {"alone"} < {row["id"] for row in rows}
    losses = {row["id"]: row["answer_loss"] for row in rows}
    assert len(set(losses.values())) > 6  # each row has the loss of its own record
    assert any("6 ids stand in several rows" in line for line in said)
    assert verify(place).whole
    (pool,) = artifacts(folder / "sets-features", "pool")
    assert verify(Place(str(folder / "sets-features" / pool), StorageConfig())).whole


def test_distinct_keeps_the_earliest_of_equal_rows(folder):
    rows = instruction_rows(6)
    copies = [row | {"id": f"copy-{row['id']}"} for row in rows]
    write_rows(folder / "equal.jsonl", rows + copies)
    place = select(folder, "equal", "selectors=random", "budget.share=1", "distinct=true", input="equal.jsonl")
    assert {row["id"] for row in chosen(place, "random")} == {row["id"] for row in rows}
    with pytest.raises(BadRequest, match=r"random: .*only 6 rows are eligible"):
        select(folder, "equal-9", "selectors=random", "budget.rows=9", "distinct=true", input="equal.jsonl")


def test_a_target_that_shares_rows_with_the_pool_is_told(folder):
    said = []
    silent = {"id": "silent", "instruction": "Say something.", "input": "", "output": ""}
    write_rows(folder / "shared.jsonl", [*instruction_rows(60)[:3], *instruction_rows(3, seed=5), silent])
    words = [f"target.path={folder / 'shared.jsonl'}", "dsir.min_words=1", "budget.rows=3", "report.sample=4"]
    common = [f"input.path={folder / 'pool.jsonl'}", f"output.path={folder / 'aims'}", "selectors=dsir"]
    run("select", *common, *words, say=said.append)
    assert any("3 rows of the target are in the pool too" in line for line in said)
    assert "note: target.path: 1 records are not in the pool: example/no_answer 1" in said


def test_what_failed_leaves_the_cluster_to_the_next_run(folder):
    shared = [f"features.path={folder / 'failing'}"]
    select(folder, "before", "selectors=random", "budget.rows=5", *shared)
    (pool,) = artifacts(folder / "failing", "pool")
    place = Place(str(folder / "failing" / pool), StorageConfig())
    (part,) = place.names("data")
    whole = place.read(part)
    gc.disable()  # what Ray Data leaves in cycles is there until somebody asks for it
    try:
        place.publish(part, whole[:-9])
        with pytest.raises(RunFailed):
            select(folder, "failed", "selectors=ifd", f"scorer.path={folder / 'model'}", "budget.rows=5", *shared)
        place.publish(part, whole)
        select(folder, "after", "selectors=zip", "budget.rows=5", *ZIP, *shared)  # its task asks for a whole node
    finally:
        gc.enable()


@pytest.mark.long
def test_one_row_is_a_pool_and_a_budget_of_nothing_is_a_choice(folder):
    write_rows(folder / "one.jsonl", instruction_rows(1))
    place = select(folder, "one", "selectors=[random,zip,k_center]", "budget.rows=1", *ZIP, input="one.jsonl")
    assert [len(chosen(place, label)) for label in ("random", "zip", "k_center")] == [1, 1, 1]
    nothing = select(folder, "nothing", "selectors=[random,zip]", "budget.rows=0", *ZIP)
    assert [len(chosen(nothing, label)) for label in ("random", "zip")] == [0, 0]
    assert verify(nothing).whole


def test_tokens_are_a_budget(folder):
    words = ["selectors=[random,length]", "budget.tokens=1500", f"lengths.tokenizer={folder / 'model'}"]
    place = select(folder, "tokens", *words, "prompting.template=plain")
    assert all(0 < len(chosen(place, label)) < 60 for label in ("random", "length"))
    for label in ("random", "length"):
        assert sum(row["tokens"] for row in chosen(place, label)) <= 1500


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "selectors is empty"),
        (["selectors=random"], "no budget is given"),
        (["selectors=randon", "budget.rows=1"], "Did you mean 'random'"),
        (["selectors=random:sead=1", "budget.rows=1"], "random:sead=1"),
        (["selectors=[random,random]", "budget.rows=1"], "more than once"),
        (["selectors=less", "budget.rows=1"], "target.path is not given"),
        (["selectors=ifd", "budget.rows=1"], "scorer.path is not given"),
        (["selectors=length", "budget.rows=1"], "lengths.tokenizer"),
        (["selectors=length", "budget.rows=1", "lengths.tokenizer=/no/such"], "no tokenizer at /no/such"),
        (["selectors=diverse_evol", "budget.rows=1"], "no model is given"),
        (["selectors=random", "budget.rows=1", "input.text_column=text"], "examples.plain_column"),
        (["selectors=random", "budget.rows=1", "output.path=s3://corpus"], "a whole bucket"),
        (["selectors=random", "budget.rows=1", "random.stratify=lang"], "no field 'lang' in any record"),
        (["selectors=random", "budget.rows=1", "input.id_column=key"], "no column 'key'"),
    ],
)
def test_what_cannot_work_is_told_before_anything_is_read(folder, words, message):
    with pytest.raises(BadRequest, match=message):
        select(folder, "refused", *words)
    assert not (folder / "refused").exists()


def test_rounds_have_no_budget_of_tokens(folder):
    model = folder / "model"
    words = [f"scorer.path={model}", f"lengths.tokenizer={model}", f"student.model.path={model}"]
    with pytest.raises(BadRequest, match="diverse_evol chooses so many rows in each round"):
        select(folder, "refused", "selectors=diverse_evol", "budget.tokens=100", *words)
    assert not (folder / "refused").exists() and not artifacts(folder, "pool")


def test_records_of_which_none_is_an_example_are_told_before_anything_is_read(folder):
    write_rows(folder / "other.jsonl", [{"id": str(number), "body": "flour"} for number in range(3)])
    with pytest.raises(BadRequest, match="none of the first 3 records is an example"):
        select(folder, "refused", "selectors=random", "budget.rows=1", input="other.jsonl")
    assert not (folder / "refused").exists()


def test_a_choice_that_is_taken_back_is_copied_again_and_the_others_are_not(folder):
    words = ["selectors=[random,zip]", "budget.rows=5", *ZIP]
    place = select(folder, "harmed", *words)
    before = {label: chosen(place, label) for label in ("random", "zip")}
    (part,) = place.names("data/zip")
    place.publish(part, place.read(part)[:-9])
    mend(place, verify(place), str)
    select(folder, "harmed", *words)
    assert verify(place).whole and {label: chosen(place, label) for label in before} == before


def test_what_a_selector_told_is_a_part_of_its_choice(folder):
    shared = [f"features.path={folder / 'told'}", "selectors=random", "budget.rows=5"]
    select(folder, "told-1", *shared)
    (name,) = artifacts(folder / "told", "choice-random")
    place = Place(str(folder / "told" / name), StorageConfig())
    place.publish("choice.json", b"{}")
    assert list(verify(place).damaged) == ["choice.json"]
    mend(place, verify(place), str)
    select(folder, "told-2", *shared)
    assert verify(place).whole


def test_a_budget_beyond_the_pool_is_told_before_anything_is_measured(folder):
    words = ["selectors=ifd", f"scorer.path={folder / 'model'}", f"features.path={folder / 'beyond-features'}"]
    with pytest.raises(BadRequest, match="the budget is 61 rows, and only 60 rows are eligible"):
        select(folder, "beyond", "budget.rows=61", *words)
    assert not artifacts(folder / "beyond-features", "likelihood")


def test_output_and_features_may_stand_among_the_input(folder):
    among = folder / "among"
    among.mkdir()
    write_rows(among / "pool.jsonl", instruction_rows(20))
    for rows in (3, 4):
        words = ["selectors=random", f"budget.rows={rows}", f"output.path={among / 'out'}", "report.sample=4"]
        place = run("select", f"input.path={among}", *words, otherwise=Otherwise.NEW)
        assert len(chosen(place, "random")) == rows
    assert len(artifacts(among / "features", "pool")) == 1


def test_what_another_run_is_making_is_waited_for(folder):
    words = [f"input.path={folder / 'pool.jsonl'}", "selectors=random", "budget.rows=3", "report.sample=4"]
    words += [f"output.path={folder / 'waits'}", f"features.path={folder / 'waited-for'}"]
    pool = Select(compose(SelectJob, None, words)).declared.pool
    said, other = [], ExitStack()
    other.enter_context(Keeper(claim(pool.place, None, State(), myself(), pool.recipe)))

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("waiting"):
            other.close()

    place = run("select", *words, say=say)
    assert f"waiting: another run is at work on {pool.place.url}" in said
    assert len(chosen(place, "random")) == 3


def test_a_page_embeds_the_beginning_of_a_long_row(folder):
    class Lengths:
        def embed(self, texts: list[str]) -> list[int]:
            return list(map(len, texts))

    encoder = TextEmbedder(SelectJob())
    encoder.encoder = Lengths()
    assert encoder(["short", "long " * EMBEDDED]) == [5, EMBEDDED]


def test_a_row_that_is_too_long_for_the_scorer_is_not_free_where_tokens_are_the_budget(folder):
    long = {"id": "long", "instruction": "Say it all.", "output": "flour " * 900}
    write_rows(folder / "long.jsonl", [*instruction_rows(10), long])
    words = ["budget.tokens=1500", f"lengths.tokenizer={folder / 'model'}", "prompting.max_tokens=400"]
    place = select(folder, "long", "selectors=length", *words, input="long.jsonl")
    rows = chosen(place, "length")
    assert rows[0]["id"] == "long" and rows[0]["answer_tokens"] > 400
    assert sum(row["tokens"] for row in rows) <= 1500


@pytest.mark.parametrize(
    "selectors, own, told",
    [
        (["less"], "alpaca", ["template tulu has no place for what some rows have: tools 2"]),
        (["random", "zip"], "human", ["template human has no place for what some rows have: tools 2"]),
        (
            ["less:template=plain", "ifd"],
            "chat",
            ["template plain has no place", "a model's own chat template may have no"],
        ),
    ],
    ids=["less", "others", "both"],
)
def test_what_has_no_place_is_told_of_each_template_that_reads_rows(selectors, own, told):
    job = SelectJob(prompting=PromptingConfig(own))
    specs = [spec_of(text, job) for text in selectors]
    pool = SimpleNamespace(carries={"tools": 2, "weight": 5})
    declared = SimpleNamespace(measuring=SimpleNamespace(pool=lambda made: pool))
    some = SimpleNamespace(job=job, specs=specs, declared=declared, made={})
    lines = Select._unplaced(some)
    assert len(lines) == len(told) and all(line.startswith(begin) for line, begin in zip(lines, told, strict=True))
    pool.carries = {"weight": 5}
    assert Select._unplaced(some) == []


def test_what_a_template_has_no_place_for_is_told_and_stays_with_the_chosen_rows(folder):
    turns = [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "So.", "weight": 1}]
    rows = [{"id": str(n), "messages": [turns[0], turns[1] | {"content": f"So {n}."}]} for n in range(6)]
    rows[2]["messages"][1]["reasoning_content"] = "Hm."
    rows[3]["tools"] = [{"name": "look"}]
    rows[4] |= {"system": "Be short.", "system_prompt": "Be long."}
    (folder / "thinking.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = []
    words = ["selectors=random", "budget.rows=6", f"features.path={folder / 'thinking-features'}"]
    place = select(folder, "thinking", *words, input="thinking.jsonl", say=said.append)
    told = "note: template alpaca has no place for what some rows have: reasoning_content 1, tools 1"
    assert told in said and "note: left out, as no example has a place for it: system 1" in said
    by_id = {row["id"]: row for row in chosen(place, "random")}
    assert by_id["2"]["messages"][1]["reasoning_content"] == "Hm." and by_id["3"]["tools"] == '[{"name": "look"}]'
    assert all(row["messages"][-1]["weight"] == 1 for row in by_id.values())
