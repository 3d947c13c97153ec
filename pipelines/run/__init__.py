"""What one run of a pipeline is.

pipeline.py   the contract of a pipeline: what a run must know of one
recipe.py     what makes a run what it is, as its artifact keeps it
output.py     where the artifact goes
execute.py    one run, from checked job to finished artifact
card.py       the contract of a card: what an artifact tells people
display.py    the live line of progress
entry.py      a pipeline as the command line knows it
"""
