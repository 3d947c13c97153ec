"""Generation with plain transformers.

engine.py         the engine, batch by batch
row_sampling.py   each row of a batch with its own seed, sampling and end
"""
