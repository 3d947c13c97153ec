"""The unit of work, and how it becomes a part of an artifact.

order.py    the order: what travels through Ray Data, and where it is cut
redo.py     what of an order is left to do
rows.py     the form of the rows that an artifact keeps, and of those that left
tally.py    counts of finished rows
writer.py   finished orders into parts and commits
"""
