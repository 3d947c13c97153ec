"""What is durable of an artifact, and who may write it. Knows no Ray.

records.py      what belongs to an artifact: epochs, commits, parts; read this first
spans.py        places in the splits of an input, and sets of them: what is settled
ledger.py       how records are written: claim an epoch, commit, fold, sweep
agreement.py    how runs agree on the next epoch with plain reads and writes
lease.py        who is at work, and whether it is alive
opening.py      which artifact a run goes on with: the one that is there, `--new`, `--fork`
rollback.py     what was settled is taken back: damaged parts, `--retry failed`
verify.py       the proof that an artifact is whole, and its repair
uniqueness.py   each id in one row only, in bounded memory
artifacts.py    finished artifacts as later stages open them
"""
