"""Proof that an artifact is whole.

verify.py       everything that the records name is looked at
findings.py     what is wrong, and how that is told
uniqueness.py   each id in one row only, in bounded memory
repair.py       what is damaged is taken back
"""
