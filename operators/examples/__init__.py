"""Records as what is asked and answered.

base.py      what an example is, and how a record is read as one
keep.py      records that are examples stay, the others leave by name
prompting/   examples as the tokens that a model reads
"""
