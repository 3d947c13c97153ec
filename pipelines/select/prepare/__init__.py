"""What is made before a selector chooses.

base.py            the contract: stages, then the view of the pool and the inputs that the selector is handed
measured.py        the plain case: what the selector reads is measured, of the pool and of a target set
diverse_evol.py    rounds in which a student is trained, embeds the pool, and k-center chooses
less/              a warm-up of adapters, and gradients under its checkpoints
"""
