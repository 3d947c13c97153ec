"""Text into tokens, and tokens into rows of one length.

encode_documents.py   documents, learned as a whole
encode_examples.py    examples, of which the answers are learned
fit.py                examples that are longer than a row
pack.py               tokens into rows: documents one after the other, examples uncut
rows.py               what a packed row is
"""
