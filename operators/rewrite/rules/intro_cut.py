"""Introductions: what a chat model says before it begins ("Sure! Here is a paraphrase of the passage:").

Source of the repair: WRAP, arXiv:2401.16380, appendix B: the first segment is cut up to its colon or blank line.
"""

import re

from operators.rewrite.rules.base import Repair

LONGEST = 240  # characters of a first line that can be an introduction
COLONS = (":", "\uff1a")
REST = r"[^\n:.!?。\uff1a]{0,100}"  # within one sentence


def _either(*words: str) -> str:
    return f"(?:{'|'.join(words)})"


OPENER = re.compile(
    _either(
        "sure(?: thing)?|certainly|of course|absolutely|no problem|okay|ok|gladly",
        "natürlich|gerne|selbstverständlich|bien sûr|avec plaisir",
        "¡?claro(?: que sí)?|¡?por supuesto|certo|certamente|конечно",
        "当然(?:可以)?|好的|没问题|もちろん(?:です)?|承知(?:いた)?しました|물론(?:입니다|이죠)?|알겠습니다|네",
    )
    + r"\s?(?P<end>[!,.。\uff0c\uff01]+)\s*",
    re.IGNORECASE,
)
HERE = _either(
    "here(?:'s| is| are)|below (?:is|are)|the following (?:is|are)",
    "hier (?:ist|sind|folgt)|im folgenden|voici|ci-dessous",
    "aquí (?:está|tienes|tiene)|a continuación|ecco|aqui (?:está|vai)|вот|ниже",
    "以下[是は]?|下面是|다음은|아래는",
)
VERB = "paraphras|rephras|rewr[io]t|reword"
REWRITE = _either(
    VERB,
    "(?:simplified|condensed|revised|improved|clearer) (?:version|text|passage)",
    "version of (?:the|this|your) (?:text|passage|paragraph)",
    "umformulier|umgeschrieben|vereinfachte (?:fassung|version)|reformul|réécri|version simplifiée",
    "paráfras|parafras|reescri|versión simplificada|riformul|riscritt|перефраз|переписанн|пересказ",
    "改写|重写|转述|释义|言い換え|書き換え|書き直|リライト|다시 쓴|바꿔 쓴|바꾸어 쓴|재작성|의역",
)
LABEL = _either(
    "paraphrased?|rephrased|rewritten|reworded",
    r"umformuliert\w*|umformulierung|reformulation|paráfrasis|改写后?|다시 쓴",
)
OBJECT = r"(?:the|this|your|my) (?:\w+ )?(?:text|passage|paragraph|content|sentences?)"
ABOUT_THE_TASK = re.compile(
    r"\W{0,4}"
    + _either(
        rf"{HERE}{REST}?{REWRITE}{REST}",
        rf"(?:i(?:'ve| have|'ll| will)|let me|this is)\b{REST}?(?:{VERB}){REST}?{OBJECT}{REST}",
        rf"{LABEL}[^\n:.!?。\uff1a]{{0,20}}(?=[:\uff1a])",
    ),
    re.IGNORECASE,
)
FORM = _either(
    "questions?|answers?|pairs?|faqs?|tables?|lists?|facts?|points?|guide|tutorial|summary|text|version|problem",
    "conversation|dialogue|frage|tabelle|liste|tableau|preguntas?|tabla|lista|вопрос|таблиц|список",
    "问题|问答|表格|列表|質問|表|リスト|질문|표|목록",
)
ANNOUNCEMENT = re.compile(rf"\W{{0,4}}{HERE}[^\n.!?。]{{0,60}}?{FORM}", re.IGNORECASE)


def cut_introduction(text: str, source: str) -> str:
    """Cut an introduction at its colon or line end, never beyond the first segment.

    A sentence that speaks of the task goes wherever its colon stands ("Here is a paraphrase: The port ..."). A mere
    announcement ("Here are the questions:") goes only where it has a line of its own and the source announces nothing.
    """
    text = _without_opener(text.lstrip(), source)
    line, line_end, _ = text[:LONGEST].partition("\n")
    found = ABOUT_THE_TASK.match(_straight(line))
    if found and not introduces(source):
        rest = line[found.end() :]
        if rest.startswith(COLONS):
            return text[found.end() + 1 :].lstrip(" \t\n*_")
        if line_end and not rest.strip(" .!*_。"):
            return text[len(line) :].lstrip()
    elif line_end and line.rstrip(" *_").endswith(COLONS) and _announces(line) and not _announces(source):
        return text[len(line) :].lstrip()
    return text


def introduces(text: str) -> bool:
    """Tell whether the text begins like an introduction to a rewrite, or holds a line that is one."""
    first, *others = _straight(text).split("\n")
    return bool(ABOUT_THE_TASK.match(first)) or any(
        line.rstrip(" *_").endswith(COLONS) and ABOUT_THE_TASK.match(line) for line in others
    )


def _without_opener(text: str, source: str) -> str:
    opener = OPENER.match(text)
    if not opener or opener[0].strip().casefold() in source.casefold():
        return text
    alone = opener["end"][0] in "!。\uff01" or opener[0].endswith("\n")
    if alone or ABOUT_THE_TASK.match(_straight(text), opener.end()):
        return text[opener.end() :]
    return text  # "Certainly, the port was ..." is a sentence like others


def _announces(text: str) -> bool:
    return any(ANNOUNCEMENT.match(line) for line in _straight(text).split("\n"))


def _straight(text: str) -> str:
    return text.replace("\u2019", "'")


RULE = Repair(
    'cut an introduction ("Here is a paraphrase:") in the first segment',
    lambda config: cut_introduction,
    presets=("wrap", "strict"),
    spares_opening=True,  # an opening line that the prompt fixes is an introduction that we asked for
)
