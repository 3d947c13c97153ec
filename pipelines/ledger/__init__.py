"""What is durable of an artifact, and who may write it. Knows no Ray.

records.py      what is recorded of an artifact: parts, commits, states, epochs; read this first
layout.py       where everything lies, and which files are ours
spans.py        places in the splits of an input, and sets of them: what is settled
reading.py      the records as a reader finds them, while a run may be writing
ledger.py       one epoch, for the processes that commit to it
publish.py      the files that a commit names
tenure.py       the owner's side of an epoch: claim, fold, sweep
agreement.py    how runs agree on the next epoch with plain reads and writes
lease.py        who is at work, and whether it is alive
opening.py      which artifact a run goes on with: the one that is there, `--new`, `--fork`
units.py        what can be taken back and done again alone
rollback.py     what was settled is taken back: damaged parts, `--retry failed`
artifacts.py    finished artifacts as later stages open them
proof/          that an artifact is whole, and its repair
"""
