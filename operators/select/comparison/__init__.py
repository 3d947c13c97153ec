"""Students trained on different choices, compared: does a choice beat chance?"""

from operators.select.comparison.page import comparison_page, comparison_table
from operators.select.comparison.statistics import Comparison, Metric, TrainedStudent, compare

__all__ = ["Comparison", "Metric", "TrainedStudent", "compare", "comparison_page", "comparison_table"]
