"""What is made before a selector chooses.

base.py            the contract: stages, then the view of the pool and the inputs that the selector is handed
measured.py        selectors that read what is measured of each row, and a target set's rows: most of them
diverse_evol.py    rounds in which a student is trained, embeds the pool, and k-center chooses
less/              a warm-up of adapters, and gradients under its checkpoints
"""
