"""The model declined, or asked for the text that it had been given."""

from operators.rewrite.rules.base import Drop, JudgedRewrite, Phrases

HEAD = 300  # characters in which a refusal shows itself
TASK = (
    "(?:assist|help (?:you )?with (?:that|this|your)|fulfil|comply with|rewrite|rephrase|paraphrase|"
    r"(?:provide|generate|create|process) (?:a|an|any|the|this|that|content)\b|"
    "complete (?:this|your|the) (?:task|request))"
)
TEXT = "(?:passage|text|content|paragraph)"
REFUSALS = Phrases(
    {
        "as an ": r"\bas an (?:ai|artificial intelligence)\b",
        "language model": r"\bas a (?:large )?language model\b",
        "i can't": rf"\bi can't {TASK}",
        "i cannot": rf"\bi cannot {TASK}",
        "i won't": rf"\bi won't {TASK}",
        "able to": rf"\bi(?:'m| am) (?:unable|not able) to {TASK}",
        "i must decline": r"\bi must decline\b",
        "please ": rf"\bplease (?:provide|share|send) (?:me )?(?:with )?(?:the|a|any) {TEXT}",
        "provide": rf"\byou (?:have not|haven't|did not|didn't) provided? (?:me )?(?:with )?(?:the|a|any) {TEXT}",
        "no passage": r"\b(?:there is|i see) no passage to\b",
        "no text": r"\b(?:there is|i see) no text to (?:rewrite|rephrase|paraphrase|convert|summari)",
        "tut mir leid": r"tut mir leid,? (?:aber )?(?:ich kann|das kann ich)",
        "als ": r"\bals (?:ki|sprachmodell|ki-sprachmodell)\b",
        "désolé": r"désolée?,? (?:mais )?je ne (?:peux|suis)",
        "en tant qu": r"en tant qu(?:e |')(?:ia|modèle|assistant)\b",
        "lo siento": r"lo siento,? (?:pero )?no puedo",
        "como ": r"\bcomo (?:modelo de lenguaje|una? ia)\b",
        "mi dispiace": r"mi dispiace,? (?:ma )?non posso",
        "desculpe": r"desculpe,? (?:mas )?(?:eu )?não posso",
        "извините": r"извините,? (?:но )?я не могу",
        "языковая модель": r"как языковая модель",
        "抱歉": r"抱歉[\uff0c,]?(?:但)?我?(?:无法|不能)",
        "对不起": r"对不起[\uff0c,]?(?:但)?我?(?:无法|不能)",
        "作为": r"作为(?:一个|一名)?(?:人工智能|ai|语言模型)",
        "申し訳": r"申し訳(?:ございません|ありません)が[^。]{0,30}(?:できません|できかねます)",
        "として": r"(?:ai|言語モデル)として",
        "죄송": r"죄송(?:합니다|하지만|해요)[^\n]{0,40}(?:수 없|어렵|못)",
        "모델로서": r"(?:ai|인공지능) (?:언어 )?모델로서",
    }
)


def refused(rewrite: JudgedRewrite) -> str | None:
    """Say which words refuse, if the answer begins so and the source has no words of that kind."""
    found = REFUSALS.find(rewrite.written.plain[:HEAD])
    return f'the answer says "{found}"' if found and not REFUSALS.find(rewrite.source.plain) else None


RULE = Drop("drop an answer that declines the task or asks for the text", lambda config: refused)
