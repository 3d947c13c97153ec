"""A demonstration model for machines that reach no model hub: made here, in minutes, from what Python brings."""

from operators.models.demo_model.docstrings import docstrings
from operators.models.demo_model.make import DemoModelConfig, make_demo_model

__all__ = ["DemoModelConfig", "docstrings", "make_demo_model"]
