"""What selectors chose, compared: measures and a page of choices, and a comparison of the students trained on them."""

from operators.choices.base import Chosen, Report, ReportConfig
from operators.choices.comparison import Comparison, Metric, Student, compare
from operators.choices.comparison_page import comparison_page, comparison_table
from operators.choices.page import page
from operators.choices.report import report

__all__ = [
    "Chosen",
    "Comparison",
    "Metric",
    "Report",
    "ReportConfig",
    "Student",
    "compare",
    "comparison_page",
    "comparison_table",
    "page",
    "report",
]
