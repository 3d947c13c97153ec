"""From the files of an input to pieces of documents.

files.py      the files of an input, and whether they can be read
examples.py   whether records are examples at all
chunks.py     the chunker of a process
pieces.py     splits of files into pieces of documents
groups.py     small files worked on together, each group with one commit
"""
