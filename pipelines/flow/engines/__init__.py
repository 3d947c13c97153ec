"""Operators beside engines: a pool of actors with many orders in flight.

asking.py      what a stage that asks a model is made of
pool.py        how many actors, and what each of them claims
actor.py       an engine, an operator beside it, and all orders between them
preflight.py   what is checked of an engine before anything is spent
chained.py     chains along documents, and what they are handed where they go on
admission.py   which order an engine lets in, and when
wrapped.py     an engine around another one
counting.py    what became of the requests of an engine
judging.py     an engine of which no request is answered is found out
pace.py        how fast requests are answered
guarding.py    a request that kills engines is found, and given up
"""
