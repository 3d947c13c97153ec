"""Students trained on different choices, compared: does a choice beat chance?"""

from operators.select.comparison.page import comparison_page, comparison_table
from operators.select.comparison.statistics import Comparison, Metric, Student, compare

__all__ = ["Comparison", "Metric", "Student", "compare", "comparison_page", "comparison_table"]
