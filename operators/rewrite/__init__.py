"""Chunks into rewrites: requests, prompts, what is repaired, dropped, checked and mixed.

fan_out.py    chunks x styles into requests
prompts/      one prompt a Markdown file
rephrase.py   requests through an engine, all at once
clean.py      rewrites repaired, and those that are none marked
rules/        a rule a file, and their order
thoughts.py   the forms in which models write their reasoning into an answer
faithful.py   is the meaning that of the source?
facts.py      numbers and names that a rewrite lost
stitch.py     chunks back into documents
mix.py        real and synthetic text in proportion
"""
