"""The model declined, or asked for the text that it had been given."""

import re

from operators.rules.base import Row

HEAD = 300  # characters in which a refusal shows itself
TASKS = (
    "assist|help (?:you )?with (?:that|this|your)|fulfil|comply with|rewrite|rephrase|paraphrase|"
    "(?:provide|generate|create|process) (?:a|an|any|the|this|that|content)\\b|"
    "complete (?:this|your|the) (?:task|request)"
)
REFUSAL = re.compile(
    "|".join(
        [
            r"\bas an? (?:ai|artificial intelligence|(?:large )?language model)\b",
            r"\bi(?:'m| am) (?:very |so |really |truly )?(?:sorry|afraid),? (?:but )?(?:i |that i )"
            rf"(?:can(?:no|')t|am (?:unable|not able) to|won't) (?:{TASKS})",
            rf"\bi (?:can(?:no|')t|am (?:unable|not able) to|won't|must decline to) (?:{TASKS})",
            rf"\bi'm (?:unable|not able) to (?:{TASKS})",
            r"\b(?:please (?:provide|share|send)|(?:have not|haven't|did not|didn't) provided?) (?:me )?(?:with )?"
            r"(?:the|a|any) (?:passage|text|content|paragraph)",
            r"\b(?:there is|i see) no (?:passage|text) to (?:rewrite|rephrase|paraphrase|convert|summari)",
            r"tut mir leid,? (?:aber )?(?:ich kann|das kann ich)|als (?:ki|sprachmodell|ki-sprachmodell)\b",
            r"désolée?,? (?:mais )?je ne (?:peux|suis)|en tant qu(?:e |')(?:ia|modèle|assistant)\b",
            r"lo siento,? (?:pero )?no puedo|como (?:modelo de lenguaje|una? ia)\b|mi dispiace,? (?:ma )?non posso",
            r"desculpe,? (?:mas )?(?:eu )?não posso|извините,? (?:но )?я не могу|как языковая модель",
            r"(?:抱歉|对不起)[\uff0c,]?(?:但)?我?(?:无法|不能)|作为(?:一个|一名)?(?:人工智能|ai|语言模型)",
            r"申し訳(?:ございません|ありません)が[^。]{0,30}(?:できません|できかねます)|(?:ai|言語モデル)として",
            r"죄송(?:합니다|하지만|해요)[^\n]{0,40}(?:수 없|어렵|못)|(?:ai|인공지능) (?:언어 )?모델로서",
        ]
    ),
    re.IGNORECASE,
)


def refused(row: Row) -> str | None:
    """Say which words refuse, if the answer begins so and the source has no words of that kind."""
    found = REFUSAL.search(row.written.straight[:HEAD])
    if found and not REFUSAL.search(row.source.straight):
        return f'the answer says "{found[0]}"'
    return None
