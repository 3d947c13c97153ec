import time

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from operators.errors import BadRequest
from operators.rewrite.clean import Clean, CleanConfig
from operators.rewrite.prompts import load_prompt, prompt_names
from operators.rewrite.rules import RULES
from operators.rewrite.rules.base import AnalysedText
from operators.rewrite.rules.language_changed import script
from operators.table import ORIGINAL
from tests.rows import completed

SOURCE = (
    "The port of Halden was built in 1190 by monks who needed a place to land salt and wool. Within forty years it "
    "had grown into the largest market on the northern coast, with 38 warehouses and a tax on every ship that came "
    "in. A fire in 1421 burned most of the wooden houses, and the town council ordered that all new buildings be made "
    "of stone. Today about 12,000 people live there, many of them working in the shipyard or guiding visitors through "
    "the old streets."
)
GOOD = {
    "brief": (
        "Monks built the port of Halden in 1190 to land salt and wool, and within forty years it was the largest market "
        "on the northern coast, with 38 warehouses. A fire in 1421 burned most of the wooden houses, so new ones were "
        "made of stone. Today about 12,000 people live there."
    ),
    "easy": (
        "Long ago, in 1190, some monks made a port at Halden. A port is a place where ships stop. They used it to "
        "bring in salt and wool. After forty years it was the biggest market in the north, with 38 storehouses. Each "
        "ship had to pay. In 1421 a big fire burned the houses made of wood. So the town said: build with stone! Now "
        "about 12,000 people live in Halden."
    ),
    "medium": (
        "Founded in 1190 by monks in search of a landing place for salt and wool, the port of Halden became the "
        "leading market of the northern coast in just four decades; it counted 38 warehouses and taxed each arriving "
        "vessel. After much of the timber-built town was destroyed in the fire of 1421, the council required stone "
        "for every new building. Halden now has some 12,000 inhabitants, a good number of whom work in its shipyard "
        "or show tourists around the historic streets."
    ),
    "hard": (
        "Halden's monastic harbour (1190), established for the disembarkation of salt and wool, attained commercial "
        "primacy on the northern littoral within forty years, its 38 entrepôts sustained by a universal levy on "
        "shipping. The 1421 conflagration precipitated a conciliar mandate for lithic construction; the present "
        "populace, circa 12,000, subsists chiefly upon naval fabrication and guided tourism."
    ),
    "qa": (
        "Question: Who built the port of Halden, and why?\nAnswer: Monks built it in 1190 to land salt and wool.\n\n"
        "Question: How important did it become?\nAnswer: In forty years it was the northern coast's largest market, "
        "with 38 warehouses.\n\nQuestion: What changed after 1421?\nAnswer: A fire had destroyed the wooden houses, "
        "so new ones had to be of stone.\n\nQuestion: What do its 12,000 inhabitants live on today?\nAnswer: Mostly "
        "on the shipyard and on tourism."
    ),
    "wikipedia": (
        "Rewritten passage:\nHalden is a port town founded by monks in 1190 for the import of salt and wool. It "
        "developed within four decades into the principal market of the northern coast, with 38 warehouses and a duty "
        "levied on all incoming ships. Following a fire in 1421 that consumed most of its timber buildings, the "
        "council prescribed stone for new construction. The population is about 12,000; shipbuilding and tourism are "
        "the main sources of employment."
    ),
    "diverse_qa": (
        "Questions and answers:\nQuestion: Was the port of Halden built by monks?\nAnswer: Yes, in 1190.\n"
        "Question: What burned in the fire of 1421?\nAnswer: Most of the town's wooden houses.\n"
        "Question: Which was ordered for new buildings: (a) brick, (b) stone, (c) timber?\nAnswer: (b) stone.\n"
        "Question: How many years lie between the founding of the port and the fire?\nAnswer: 231 years."
    ),
    "distill": (
        "Condensed text:\nMonks founded Halden's port in 1190 for salt and wool. In forty years it was the north's "
        "largest market (38 warehouses, a tax on each ship). After the 1421 fire new houses had to be stone. About "
        "12,000 people live there now, on shipbuilding and guided tours."
    ),
    "extract_knowledge": (
        "Halden owes its existence to monks, who in 1190 laid out a port there so that salt and wool could be landed. "
        "Trade grew quickly: forty years later no market on the northern coast was larger. The town owned 38 "
        "warehouses and lived on a duty that every ship paid. Because the houses were wooden, a fire in 1421 "
        "destroyed most of them, and from then on stone was compulsory. The roughly 12,000 inhabitants of today build "
        "ships or guide visitors."
    ),
    "knowledge_list": (
        "- The port of Halden dates from 1190.\n  - Its builders were monks, who wanted to land salt and wool.\n* It "
        "became the largest market of the northern coast within 40 years.\n* There were 38 warehouses.\n* Ships "
        "coming in were taxed.\n1. In 1421 fire took most wooden houses.\n2. After that the council allowed only "
        "stone.\n- Population: about 12,000 people, who work in the shipyard or in tourism."
    ),
    "faq": (
        "Question: What is Halden?\nAnswer: Halden is a port town on the northern coast with about 12,000 "
        "inhabitants.\n\nQuestion: How old is the port of Halden?\nAnswer: The port of Halden was built by monks in "
        "1190.\n\nQuestion: Why are Halden's old houses made of stone?\nAnswer: After the fire of 1421 the council of "
        "Halden forbade wooden houses.\n\nQuestion: How did medieval Halden earn money?\nAnswer: It taxed every ship "
        "and let 38 warehouses."
    ),
    "math": (
        "Problem: A port opened in 1190 with 6 warehouses and gained the same number of warehouses every 5 years. "
        "Forty years later it had 38. How many did it gain every 5 years?\n\nSolution: In 40 years there are 40 / 5 = "
        "8 periods. The port gained 38 - 6 = 32 warehouses, which is 32 / 8 = 4 in each period. The result is 4 "
        "warehouses."
    ),
    "table": (
        "| Year | Event | Consequence |\n|------|-------|-------------|\n| 1190 | Monks build the port | Salt and "
        "wool are landed |\n| about 1230 | Largest northern market | 38 warehouses, a tax on ships |\n| 1421 | Fire | "
        "Stone is compulsory |\n| today | 12,000 inhabitants | Shipyard, tourism |\n\nQuestion: What followed the "
        "fire?\nAnswer: Stone became compulsory."
    ),
    "tutorial": (
        "# Reading the history of a port town\n\n1. Start with the founders. Halden's port was laid out by monks in "
        "1190, who wanted to land salt and wool.\n2. Look for signs of growth. Forty years on there were 38 "
        "warehouses and a tax on ships, and no northern market was larger.\n3. Ask what went wrong. The fire of 1421 "
        "explains why the old town is of stone.\n4. Compare with the present: 12,000 people, a shipyard, and guided "
        "walks."
    ),
    "guided_rewrite": (
        "=== THOUGHTS ===\nThe passage introduces a town to visitors; dates are there but the causes are left open.\n"
        "=== REWRITE ===\nIn 1190 a community of monks laid out a port at Halden, because they needed somewhere to "
        "bring ashore the salt and wool on which they depended. The place prospered: barely forty years later it was "
        "the largest market on the whole northern coast. Its wealth rested on 38 warehouses and on a tax that each "
        "arriving ship had to pay. In 1421, however, a fire swept through the wooden houses and destroyed most of "
        "them. So that this could not happen again, the town council ruled that new buildings must be of stone. "
        "Around 12,000 people call Halden home today. Many are employed in the shipyard, while others lead visitors "
        "through the old streets.\n=== END ==="
    ),
}
KOREAN = (
    "할덴 항구는 1190년에 소금과 양모를 내릴 곳이 필요했던 수도사들이 지었다. 사십 년 만에 이 항구는 북부 해안에서 "
    "가장 큰 시장으로 성장했으며, 38개의 창고가 있었고 들어오는 모든 배에 세금을 매겼다. 1421년의 화재로 목조 가옥 "
    "대부분이 불탔고, 시의회는 모든 새 건물을 돌로 지으라고 명령했다."
)
KOREAN_GOOD = (
    "1190년 수도사들은 양모와 소금을 하역하려고 할덴에 항구를 세웠습니다. 불과 40년 뒤에는 창고가 38채에 이르는 "
    "북해안 최대의 장터가 되었고, 입항하는 선박마다 세금을 냈습니다. 1421년에 큰불이 나서 나무집이 거의 다 타 버리자, "
    "의회는 앞으로 석조 건물만 허락하기로 했습니다."
)
CHINESE = (
    "哈尔登港建于1190年,由需要一个地方卸下盐和羊毛的僧侣修建。四十年之内,它成长为北部海岸最大的市场,拥有三十八座仓库,"
    "并对每一艘进港的船只征税。1421年的一场大火烧毁了大部分木屋,市议会下令所有新建筑都必须用石头建造。"
)
CHINESE_GOOD = (
    "1190年,一群修道士为了装卸羊毛与食盐,在哈尔登修筑了港口。不过四十载,这里便发展成北方沿海首屈一指的商埠:仓库多达三"
    "十八间,来船一律纳税。1421年大火肆虐,木造房屋几乎焚尽,此后议会规定新房只准以石材兴建。"
)
GERMAN = (
    "Der Hafen von Halden wurde 1190 von Mönchen gebaut, die einen Platz brauchten, um Salz und Wolle an Land zu "
    "bringen. Innerhalb von vierzig Jahren wuchs er zum größten Markt an der nördlichen Küste, mit 38 Lagerhäusern "
    "und einer Abgabe auf jedes einlaufende Schiff. Ein Brand im Jahr 1421 zerstörte die meisten Holzhäuser."
)
GERMAN_GOOD = (
    "Im Jahr 1190 legten Mönche in Halden einen Hafen an, weil ihnen eine Stelle zum Löschen von Wolle und Salz "
    "fehlte. Nur vier Jahrzehnte später gab es an der ganzen Nordküste keinen bedeutenderen Handelsplatz; man zählte "
    "38 Speicher, und wer anlegte, musste zahlen. 1421 vernichtete ein Feuer fast alle Häuser, die aus Holz waren."
)
PROMPTS = {name: load_prompt(name) for name in prompt_names()}
STRICT = Clean(CleanConfig(preset="strict"), PROMPTS)


def row(text, style="medium", source=SOURCE, **more) -> dict:
    tokens = {"source_tokens": len(source) // 4, "completion_tokens": len(text or "") // 4}
    return {"id": "r", "style": style, "text": text, "source_text": source, "finish_reason": "stop", **tokens, **more}


def clean(text, style="medium", source=SOURCE, *, by=STRICT, **more) -> dict:
    return by(completed(row(text, style, source, **more))).to_pylist()[0]


def only(*rules: str, **thresholds) -> Clean:
    return Clean(CleanConfig(preset=None, **dict.fromkeys(rules, True), **thresholds), PROMPTS)


@pytest.mark.parametrize("style", prompt_names())
def test_a_good_rewrite_of_each_style_is_kept_by_the_strict_preset(style):
    assert style in GOOD, f"add a good rewrite in the style {style!r} to GOOD, above"
    cleaned = clean(GOOD[style], style)
    assert (cleaned["reason"], cleaned["detail"]) == (None, None)
    assert cleaned["repaired"] == ("prefix_cut" if PROMPTS[style].required_prefix else None)


@pytest.mark.parametrize(
    ("source", "good"), [(KOREAN, KOREAN_GOOD), (CHINESE, CHINESE_GOOD), (GERMAN, GERMAN_GOOD)], ids=["ko", "zh", "de"]
)
def test_a_good_rewrite_in_another_language_is_kept_by_the_strict_preset(source, good):
    for style, text in {"medium": good, "qa": f"Question: Halden, 1190?\nAnswer: {good}"}.items():
        cleaned = clean(text, style, source)
        assert (cleaned["reason"], cleaned["detail"], cleaned["repaired"]) == (None, None, None)


REST = GOOD["medium"]


@pytest.mark.parametrize(
    "introduction",
    [
        "Here is a paraphrase of the passage:\n\n",
        "Sure! Here's a rewritten version:\n",
        "**Paraphrased version:**\n\n",
        "Certainly!\n\n",
        "Here is the rewritten passage: ",
        "I\u2019ve rewritten the passage as an encyclopaedia would put it.\n\n",
    ],
)
def test_an_introduction_is_cut(introduction):
    cleaned = clean(introduction + REST)
    assert (cleaned["text"], cleaned["repaired"], cleaned["reason"]) == (REST, "intro_cut", None)


@pytest.mark.parametrize(
    ("introduction", "source", "good"),
    [
        ("Natürlich! Hier ist eine Umformulierung des Textes:\n\n", GERMAN, GERMAN_GOOD),
        ("물론입니다! 다음은 글을 다시 쓴 것입니다:\n\n", KOREAN, KOREAN_GOOD),
        ("以下是改写后的文本:\n\n", CHINESE, CHINESE_GOOD),
    ],
)
def test_an_introduction_in_the_language_of_the_source_is_cut(introduction, source, good):
    cleaned = clean(introduction + good, source=source)
    assert (cleaned["text"], cleaned["repaired"], cleaned["reason"]) == (good, "intro_cut", None)


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("Certainly, the port is old.", SOURCE),
        ("Here is the reason: monks needed it.", SOURCE),
        ("Sure enough, it burned.", SOURCE),
        ("Here is a paraphrase of the law:\n\nNo wood.", "Here is a paraphrase of the law:\n\nDo not use wood."),
        ("Here are the hours:\n8 to 9", "Here are our opening hours:\n8-9"),
        ("Of course! she said.", '"Of course!" she cried.'),
    ],
)
def test_a_sentence_that_only_resembles_an_introduction_stays(text, source):
    cleaned = clean(text, source=source, by=only("intro_cut"))
    assert (cleaned["text"], cleaned["repaired"]) == (text, None)


@pytest.mark.parametrize(
    "text",
    [
        f"<think>The user wants...</think>\n\n{REST}",
        f"The user wants...\n</think>\n{REST}",
        f"{REST}<|im_end|>",
        f"<|im_start|>assistant\n{REST}</s>",
        f"<passage>\n{REST}\n</passage>",
    ],
)
def test_reasoning_and_turn_markers_are_cut(text):
    cleaned = clean(text)
    assert (cleaned["text"], cleaned["repaired"], cleaned["reason"]) == (REST, "thinking_cut", None)


def test_reasoning_that_never_ends_leaves_nothing():
    assert clean(f"<think>{REST}")["reason"] == "only_reasoning"


def test_a_page_about_such_tags_keeps_them():
    source = f"{SOURCE} Some models write <think> before and </think> after their thoughts."
    text = f"{REST} Models may put their thoughts between <think> and </think>."
    assert clean(text, source=source)["text"] == text


@pytest.mark.parametrize("wrapped", [f'"{REST}"', f"“{REST}”", f"```markdown\n{REST}\n```"])
def test_quotes_around_everything_are_taken_away(wrapped):
    assert (clean(wrapped)["text"], clean(wrapped)["repaired"]) == (REST, "quotes_cut")


@pytest.mark.parametrize("text", ['"Halden" is a "port"', '"Halden is a port'])
def test_quotes_inside_stay(text):
    assert clean(text, by=only("quotes_cut"))["text"] == text


def test_quotes_behind_the_opening_line_are_taken_away_too():
    body = GOOD["wikipedia"].split("\n")[1]
    cleaned = clean(f'Rewritten passage:\n"{body}"', "wikipedia")
    assert (cleaned["text"], cleaned["repaired"]) == (body, "prefix_cut,quotes_cut")


CHATTER = f"{REST}\n\n(Note: I have kept all the dates.)"
HANOI = (
    "Le port de Halden fut construit en 1190 par des moines qui cherchaient un lieu pour décharger le sel et la "
    "laine. En quarante ans il devint le plus grand marché de la côte nord, avec 38 entrepôts et une taxe sur chaque "
    "navire entrant."
)


@pytest.mark.parametrize(
    ("reason", "caught"),
    [
        ("truncated", row(REST, finish_reason="length")),
        ("empty", row("")),
        ("empty", row(" \n…*** ---")),
        ("empty", row(None)),
        ("refusal", row("I'm sorry, but I can't assist with that request.")),
        ("refusal", row("As an AI language model, I do not have opinions on the port of Halden.")),
        ("refusal", row("I cannot rewrite this passage because it is protected.", "qa")),
        ("refusal", row("Please provide the passage that you would like me to rewrite.")),
        ("refusal", row("죄송합니다. 이 요청은 도와드릴 수 없습니다.", source=KOREAN)),
        ("refusal", row("抱歉,我无法完成这个请求。", source=CHINESE)),
        ("refusal", row("Es tut mir leid, aber ich kann dabei nicht helfen.", source=GERMAN)),
        ("prefix_missing", row(REST, "wikipedia")),
        ("prefix_missing", row(REST, "guided_rewrite")),
        ("unparsable", row(REST, "qa")),
        ("template_markers", row(f"{REST[:200]}<|im_end|>\n<|im_start|>user {REST[200:]}")),
        ("template_markers", row(f"{REST}\n\n### Response:\n{REST[:30]}")),
        ("template_markers", row(f"{REST[:100]} [INST] {REST[100:]}")),
        ("template_markers", row(f"{REST[:100]} {{text}} {REST[100:]}")),
        ("instruction_leak", row(f"Here is a paraphrase of the passage. {REST}")),
        ("instruction_leak", row(CHATTER)),
        ("instruction_leak", row(f"{REST}\n\nLet me know if you would like me to change anything!")),
        ("instruction_leak", row(f"Give the new wording alone: no greeting, no heading. {REST}")),
        (
            "too_short",
            row(
                "Rewritten passage:\nHalden has been a port with a market and a tax since 1190. It burned in 1421.",
                "wikipedia",
            ),
        ),
        ("length_ratio", row("Halden is an old port with a market.")),
        (
            "length_ratio",
            row(f"{REST} " + " ".join(GOOD["faq"].split() + GOOD["table"].split() + GOOD["math"].split())),
        ),
        ("repetition", row(f"{REST} " + "It is a port and it is old. " * 12)),
        ("repetition", row(f"{CHINESE_GOOD}" + "这里便发展成北方沿海首屈一指的商埠" * 4, source=CHINESE)),
        ("repetition", row(f"{KOREAN_GOOD} " + "의회는 앞으로 석조 건물만 허락하기로 했습니다. " * 6, source=KOREAN)),
        ("copy", row(SOURCE)),
        ("copy", row(SOURCE.replace("Today", "Now").upper())),
        ("copy", row(SOURCE[:250])),
        ("copy", row(KOREAN, source=KOREAN)),
        ("copy", row(CHINESE.replace("四十年之内", "不到四十年"), source=CHINESE)),
        ("language_changed", row(HANOI)),
        ("language_changed", row(KOREAN_GOOD)),
        ("language_changed", row(REST, source=KOREAN)),
        ("language_changed", row(GOOD["qa"], "qa", source=GERMAN)),
    ],
)
def test_a_rule_catches_what_it_is_for(reason, caught):
    cleaned = STRICT(completed(caught)).to_pylist()[0]
    assert (cleaned["reason"], cleaned["stage"]) == (reason, "clean")
    assert cleaned["detail"]


REFUSING = f"{SOURCE} Asked about the fire, the chatbot replied: as an AI language model I cannot help with this."
TAGGED = f"{SOURCE} The file begins with <|im_start|> and [INST]."
ABOUT_TASK = f"{SOURCE} Note: this version is a paraphrased version of the chronicle."
SONG = "Row, row, row your boat, gently down the stream, merrily we row. " * 6


@pytest.mark.parametrize(
    ("reason", "kept"),
    [
        ("truncated", row(REST, finish_reason="stop")),
        ("empty", row("7")),
        (
            "refusal",
            row("I'm sorry, but as an AI language model I cannot help with this, the chatbot said.", source=REFUSING),
        ),
        ("refusal", row(f"{REST} I cannot help but admire them, and I am sorry that I can't stay.")),
        ("prefix_missing", row(f"**Rewritten passage:** {REST}", "wikipedia")),
        ("unparsable", row("**Q:** Who built it?\n**A:** Monks.\n**Q:** When", "qa")),
        ("template_markers", row(f"{REST} <|im_start|> opens the file, and [INST] follows.", source=TAGGED)),
        ("template_markers", row(f"{REST} if a < b | c > d: [INSTALL] <step>")),
        (
            "instruction_leak",
            row(f"{REST} Note: this version is a paraphrased version of an old book.", source=ABOUT_TASK),
        ),
        ("instruction_leak", row(f"{REST} The council rewrote the law, and the heading was in Latin.")),
        ("too_short", row("Halden is an old port with a market.")),
        ("length_ratio", row(SOURCE[:300] * 2)),
        ("length_ratio", row(GOOD["faq"], "faq", source="The port of Halden dates from 1190.")),
        ("repetition", row(SONG, source=SONG)),
        ("repetition", row(GOOD["table"], "table")),
        ("repetition", row("No. No. No.")),
        ("copy", row(GOOD["medium"])),
        ("copy", row(GOOD["distill"], "distill")),
        ("copy", row("Opening hours", source="Opening hours")),
        ("copy", row(CHINESE_GOOD, source=CHINESE)),
        ("language_changed", row(HANOI, source=f"{HANOI[:120]} Le port est grand et la ville est belle.")),
        ("language_changed", row("Bonjour à tous", source="Good morning, all")),
        ("language_changed", row(GERMAN_GOOD + " The Beatles, Let it be, Abbey Road.", source=GERMAN)),
    ],
)
def test_a_rule_keeps_the_near_miss(reason, kept):
    by = only("intro_cut", reason)
    cleaned = by(completed(kept)).to_pylist()[0]
    assert (cleaned["reason"], cleaned["detail"]) == (None, None)


def test_the_detail_says_what_was_measured_and_the_limit():
    assert clean(SOURCE)["detail"] == "1.00 of the five-word stretches are the source's; the limit is 0.85"
    assert "0.08 times" in clean("Halden is an old port with a market.")["detail"]
    assert "allows 0.3 to 3.0" in clean("Halden is an old port with a market.")["detail"]


def test_originals_and_rejected_rows_pass_untouched():
    table = completed(
        {"id": "o", "style": ORIGINAL, "text": "As an AI language model, <|im_end|>"},
        row(None, reason="too_long", stage="rephrase", detail="9000 tokens"),
        row(f'"{REST}"'),
        {"id": "d", "style": None, "reason": "null_text", "stage": "read"},
    )
    cleaned = STRICT(table)
    before, after = table.to_pylist(), cleaned.drop_columns("repaired").to_pylist()
    assert [before[i] == after[i] for i in range(4)] == [True, True, False, True]
    assert cleaned["repaired"].to_pylist() == [None, None, "quotes_cut", None]
    assert cleaned.schema.remove(cleaned.schema.get_field_index("repaired")) == table.schema


def test_a_table_in_several_pieces_is_cleaned_like_a_whole_one():
    rows = [row(f'"{REST}"'), {"id": "o", "style": ORIGINAL, "text": "x"}, row(SOURCE)]
    pieces = pa.concat_tables([completed(rows[0]), completed(*rows[1:])])
    assert STRICT(pieces).to_pylist() == STRICT(completed(*rows)).to_pylist()


def test_an_empty_table_and_one_of_originals_alone_keep_their_schema():
    for table in (completed(), completed({"id": "o", "style": ORIGINAL, "text": "x"})):
        assert STRICT(table).column_names == [*table.column_names, "repaired"]


def test_presets_name_their_rules_and_a_setting_of_ones_own_wins():
    of_the_paper = {"intro_cut", "instruction_leak", "empty"}
    assert {rule for rule in RULES if CleanConfig(preset="wrap").on(rule)} == of_the_paper
    assert all(CleanConfig(preset="strict").on(rule) for rule in RULES)
    assert not any(CleanConfig(preset=None).on(rule) for rule in RULES)
    assert clean(SOURCE, by=Clean(CleanConfig(preset="strict", copy=False), PROMPTS))["reason"] is None
    assert clean(SOURCE, by=Clean(CleanConfig(preset="wrap"), PROMPTS))["reason"] is None
    assert clean(SOURCE, by=Clean(CleanConfig(preset="wrap", copy=True), PROMPTS))["reason"] == "copy"


@pytest.mark.parametrize("preset", ["strict", "wrap", None])
def test_a_second_pass_of_the_same_preset_changes_nothing(preset):
    once_made = {"wikipedia", "distill", "diverse_qa", "guided_rewrite"}  # their opening line or markers are gone
    by = Clean(CleanConfig(preset=preset), PROMPTS)
    table = completed(
        *(row(GOOD[style], style) for style in GOOD if style not in once_made),
        row(f'Sure! Here is a paraphrase of the passage:\n\n"{REST}"<|im_end|>'),
        row(f"<think>So.</think>{SOURCE}"),
        row(CHATTER),
    )
    once = by(table)
    assert by(once).drop_columns("repaired") == once.drop_columns("repaired")


@pytest.mark.parametrize(
    ("bad", "complaint"),
    [
        ({"preset": "loose"}, "strict, wrap, null"),
        ({"max_copied": 60}, "For 60% write 0.6"),
        ({"max_repeated": -1}, "0 to 1"),
    ],
)
def test_a_config_out_of_range_is_explained(bad, complaint):
    with pytest.raises(BadRequest, match=complaint):
        CleanConfig(**bad)


FRAGMENTS = st.sampled_from(
    [
        "Sure! ",
        "Here is a paraphrase",
        ":",
        "\n\n",
        "<think>",
        "</think>",
        "```",
        '"',
        "Question: ",
        "Answer: ",
        "|",
        "---",
        "다음은",
    ]
)


@settings(max_examples=150, deadline=None)
@given(
    texts=st.lists(st.text() | st.lists(FRAGMENTS | st.text(max_size=9)).map("".join), min_size=1, max_size=4),
    source=st.text(),
    style=st.sampled_from(sorted(PROMPTS)),
)
def test_no_text_breaks_a_rule_and_no_row_is_lost(texts, source, style):
    table = completed(*(row(text, style, source, id=str(i)) for i, text in enumerate(texts)))
    cleaned = STRICT(table)
    assert cleaned["id"].to_pylist() == table["id"].to_pylist()
    assert all(text is not None for text in cleaned["text"].to_pylist())
    assert pa.Table.equals(STRICT(table), cleaned)


@pytest.mark.parametrize("piece", ["-", " ", "\n", "*\n", "| ", "Q: ", "a"])
def test_an_answer_of_a_hundred_thousand_signs_takes_no_time(piece):
    """No rule may take a time that grows with the square of an answer's length: that would be minutes here."""
    began = time.process_time()
    for style in PROMPTS:
        clean(piece * (100_000 // len(piece)), style)
    assert time.process_time() - began < 1.0 * len(PROMPTS)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (KOREAN, "Hangul"),
        (CHINESE, "CJK"),
        ("これは日本語で書かれた文章です。漢字と仮名が混ざっています。", "CJK"),
        (GERMAN, "Latin"),
        ("Порт города был построен в двенадцатом веке и быстро стал самым важным местом торговли.", "Cyrillic"),
        ("short", None),
        ("1234567890 " * 20, None),
    ],
)
def test_the_script_of_a_text_is_that_of_most_of_its_letters(text, expected):
    assert script(AnalysedText(text))[0] == expected
