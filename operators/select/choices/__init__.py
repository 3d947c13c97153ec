"""What selectors chose, compared: measures of choices and a page."""

from operators.select.choices.base import Chosen, Report, ReportConfig
from operators.select.choices.page import page
from operators.select.choices.report import report

__all__ = ["Chosen", "Report", "ReportConfig", "page", "report"]
