"""Features that selectors may read: which one has a column, and of which settings it is made.

base.py       what is said of a feature, and for what it is planned
plans.py      the features of which more decides than their settings
table.py      the features there are: a new one has its entry here
planner.py    the features of a job, for the columns that its selectors read
"""
