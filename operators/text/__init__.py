"""Text as it is.

extract/       HTML to main text
sentences.py   natural joints of text, in every language
tokenizer.py   tokens are counted
chunk.py       documents into chunks that join back byte for byte
"""
