"""What selectors chose, compared: measures of choices and a page.

base.py         what a report is made of: plain data
report.py       counts over all rows, measures of samples
survey.py       many rows seen once: counts and a sample
overlap.py      how choices overlap, and would by chance
coverage.py     how much of a pool a choice covers
measures.py     measures of one set of texts or vectors
histograms.py   lengths and scores against the pool
plots.py        small pictures
page.py         the page
"""

from operators.select.choices.base import ChoicesReport, Chosen, ReportConfig
from operators.select.choices.page import page
from operators.select.choices.report import report

__all__ = ["ChoicesReport", "Chosen", "ReportConfig", "page", "report"]
