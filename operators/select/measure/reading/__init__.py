"""How a language model reads what is measured: contexts in a line, a forward, what it predicted.

local_model.py    the language model, in this process
answers.py        answers with their prompts, and without the question
released.py       what the comparison paper's code reads, faults included
digits.py         ratings by the logits of digits
line.py           contexts in a line: what a model reads, and what it is to predict
slabs.py          rows of like length, prepared while the model is at work
"""
