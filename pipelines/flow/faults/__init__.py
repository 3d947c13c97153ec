"""One row that raises, hangs or kills its process leaves alone; the others go on.

config.py      deadlines, and how much may be lost
isolation.py   how a stage works through a batch, whoever died of it before
bisect.py      a batch is halved until the row that raises is found
sandbox.py     the same in a process that may die
"""
