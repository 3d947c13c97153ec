"""What one run of a pipeline is.

pipeline.py   the contract of a pipeline: what a run must know of one
asking.py     a pipeline that asks a model, order by order
stage.py      the contract of a stage: work that is told before it can be built
schedule.py   the stages of a run, side by side where there is room
recipe.py     what makes a run what it is, as its artifact keeps it
output.py     where the artifact goes
execute.py    one run, from checked job to finished artifact
card.py       the contract of a card: what an artifact tells people
ending.py     what a run says of what failed, and of why nothing was kept
display.py    the live line of progress
entry.py      a pipeline as the command line knows it
"""
