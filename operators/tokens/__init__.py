"""Text into tokens, and tokens into rows of one length.

encode_documents.py   documents, learned as a whole
encode_examples.py    examples, of which the answers are learned
pack.py               tokens into rows, one document after the other
rows.py               what a packed row is
"""
