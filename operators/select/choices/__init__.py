"""What selectors chose, compared: measures of choices and a page."""

from operators.select.choices.base import ChoicesReport, Chosen, ReportConfig
from operators.select.choices.page import page
from operators.select.choices.report import report

__all__ = ["ChoicesReport", "Chosen", "ReportConfig", "page", "report"]
