"""LESS before its choice: which rows would change the model as a target set wants it.

    sample of the pool -> packed rows -> training, a checkpoint after each epoch -> gradients of pool and target under each

Each stage is an artifact of its own in the shared folder, named by what decides it, so a killed run goes on where it was and
another budget or target trains nothing anew. Source: LESS, arXiv:2402.04333, section 4 and appendix B.

job.py            what LESS can be told: the selector's block, with the warm-up
warm_up.py        the warm-up: adapters, trained on a random share of the pool
gradients.py      the gradients of rows under each checkpoint of the warm-up
preparation.py    the order of these stages, and what the selector is handed
"""
