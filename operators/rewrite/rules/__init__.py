"""Rules that repair or drop a rewrite, a file each, and the order in which they are asked.

base.py                 the contract: what a rule says of itself, and what it may look at
thinking_cut.py         reasoning and turn markers around the answer
intro_cut.py            what a chat model says before it begins
quotes_cut.py           quotes or a code fence around the whole answer
truncated.py            an answer cut at its cap of tokens
only_reasoning.py       an answer that never came
empty.py                an answer without a letter or digit
refusal.py              an answer that declines, or asks for the text
prefix_missing.py       an answer without its prompt's opening line
unparsable.py           an answer that is not in its prompt's form
template_markers.py     signs of a chat template or of reasoning in it
instruction_leak.py     words of our own instruction, or talk about the task
too_short.py            a text under its prompt's least tokens
length_ratio.py         an answer out of proportion to the source
repetition.py           an answer that repeats itself
copy.py                 an answer that is the source again
language_changed.py     an answer in another language
"""

from importlib import import_module

from operators.rewrite.rules.base import Drop, Repair

# A line puts the rule of that file to work. Repairs are done in this order; of the drops the first that objects names the reason.
ORDER = (
    "thinking_cut",
    "intro_cut",
    "quotes_cut",
    "truncated",
    "only_reasoning",
    "empty",
    "refusal",
    "prefix_missing",
    "unparsable",
    "template_markers",
    "instruction_leak",
    "too_short",
    "length_ratio",
    "repetition",
    "copy",
    "language_changed",
)
RULES: dict[str, Repair | Drop] = {name: import_module(f"{__name__}.{name}").RULE for name in ORDER}
REPAIRS = {name: rule for name, rule in RULES.items() if isinstance(rule, Repair)}
DROPS = {name: rule for name, rule in RULES.items() if isinstance(rule, Drop)}
