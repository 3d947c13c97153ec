"""What all processes of a run know of each other: counts, what is under way, and how it is reached.

tracker.py      what was begun, what is committed, which engines died
verdicts.py     what becomes of nearly all answers, and is not the documents' doing
scoreboard.py   both of these and all counts, in one Ray actor
reporter.py     what workers are handed to reach it
pace.py         from counts to a line of progress
"""
