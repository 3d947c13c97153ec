"""A pipeline over orders, as a Ray Data DAG: read -> ask -> refine -> write.

dag.py      the four stages, beside each other; read this first
read.py     the first: splits of an input into orders
refine.py   the third: operators over answers, and what became of these
"""
