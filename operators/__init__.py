"""What can be done to a batch of rows, in one process, without Ray. Each line may stand on those below it.

select/       choosing training data
learn/        losses, the trainer, reference scores, training dynamics
rewrite/      requests to a model, and what becomes of its answers
tokens/       texts and examples into tokens, tokens into rows
examples/     records as what is asked and answered
models/       language models, adapters, sentence encoders, engines
storage/      where bytes lie, and how they become documents
page/         the look of all pages
text/         pages into text, sentences, tokens, chunks
table.py      the columns that travel, and how a row leaves with a reason
settings.py   how a setting is declared
errors.py     the errors that are the user's to mend
"""
