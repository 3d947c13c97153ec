"""What we do, in which order. A pipeline is a folder, and all have the same file names: `job` is what it can be told, `pipeline`
what a run must know of it, `dag` or `tasks` what Ray does, `report`, `card` and `pace` what people read, `artifact` how
later stages open what it made.

The front, the pipelines, and what they stand on, each line on the ones below it:

__main__.py     the command line
quickstart.py   `make quickstart`
status.py       how far an artifact is
listing.py      the texts of `list` and `--help`
registry.py     the pipelines there are
rephrase/       WRAP: documents into rewrites
pack/           documents into rows of tokens
score/          Rho-1: reference losses of every token
train/          a reference model, a model on all tokens or the best of them, students
dynamics/       how the loss of tokens moved
select/         which rows are worth training on
compare/        does a choice beat chance
pool/           a stage of select: records into examples
measure/        a stage of select: features of examples
choose/         a stage of select: one selector chooses
stock/          models, wherever they are
run/            what one run is
flow/           how rows flow through Ray, with faults
ledger/         what is durable of an artifact
config.py       YAML and `key=value` into checked dataclasses
settings.py     their settings: what there is, what of it is identity
secrets.py      what is struck out of all that is kept
exits.py        how a command ends
reasons.py      why rows leave, and whose fault that is
counts.py       counts that add up
"""
