"""What the fake server writes: the passage with its words in another order, the same for the same prompt."""

import re
import zlib

CHARACTERS_PER_TOKEN = 4
OPEN, CLOSE = "<passage>\n", "\n</passage>"  # as the project's own prompts mark it
SENTENCE = re.compile(r"[^。\uff01\uff1f.!?\n]+[。\uff01\uff1f.!?\n]*")  # also the wide marks of Chinese and Japanese
OPENING_LINE = re.compile(r'first line exactly "([^"]+)"')


def count_tokens(text: str) -> int:
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def rewrite(prompt: str, max_tokens: int) -> tuple[str, int, str]:
    """Rewrite the passage in a prompt, in the form it asks for. Returns the text, its tokens and the finish reason."""
    before, opened, rest = prompt.partition(OPEN)
    passage, _, after = rest.rpartition(CLOSE) if opened else (prompt, "", "")
    text = in_form(before + after, reorder(passage)) if opened else reorder(passage)
    tokens = count_tokens(text)
    if tokens > max_tokens:
        return text[: max_tokens * CHARACTERS_PER_TOKEN], max_tokens, "length"
    return text, tokens, "stop"


def reorder(passage: str) -> str:
    """Move the words about in fours. All of them stay, and so do length, language, names and numbers."""
    words = passage.split()
    if len(passage) > 15 * len(words):  # a script without spaces: whole sentences change places
        sentences = SENTENCE.findall(passage)
        return "".join(sentences[1::2] + sentences[0::2])
    first = zlib.crc32(passage.encode()) % 4
    last = first + (len(words) - first) // 4 * 4
    block = words[first:last]
    block[0::4], block[1::4], block[2::4], block[3::4] = block[2::4], block[3::4], block[0::4], block[1::4]
    return " ".join(words[:first] + block + words[last:])


def in_form(instructions: str, text: str) -> str:
    """Give a text the form that the project's prompts ask for: opening line, pairs, problem, table, list, markers."""
    if "=== REWRITE ===" in instructions:
        return f"=== THOUGHTS ===\nTo inform.\n=== REWRITE ===\n{text}\n=== END ==="
    if '"Problem:"' in instructions:
        return f"Problem: {text}\nSolution: {text}"
    if '"- "' in instructions:
        text = "- " + text.replace(". ", ".\n- ")
    if '"Question:"' in instructions:
        half = text.find(" ", len(text) // 2) + 1 or len(text) // 2
        text = f"Question: {text[:half].strip()}\nAnswer: {text[half:].strip()}"
    if "Markdown table" in instructions:
        text = f"| Fact | Place |\n|---|---|\n| It is told | here |\n\n{text}"
    opening = OPENING_LINE.search(instructions)
    return f"{opening[1]}\n{text}" if opening else text
