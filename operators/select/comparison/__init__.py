"""Students trained on different choices, compared: does a choice beat chance?

statistics.py   each student against the mean and spread of students on random rows
page.py         the page, and a table in Markdown
"""

from operators.select.comparison.page import comparison_page, comparison_table
from operators.select.comparison.statistics import Comparison, Metric, TrainedStudent, compare

__all__ = ["Comparison", "Metric", "TrainedStudent", "compare", "comparison_page", "comparison_table"]
