"""Text as it is.

extract.py     HTML to main text, in a process of its own
sentences.py   natural joints of text, in every language
tokenizer.py   tokens are counted
chunk.py       documents into chunks that join back byte for byte
"""
