"""Records as what is asked and answered.

base.py      what an example is, and how a record is read as one
turns.py     the turns of a chat, in the forms in which records have them
keep.py      records that are examples stay, the others leave by name
prompting/   examples as the tokens that a model reads
"""
