"""The chaos harness: the real command, struck at random moments, resumed, and compared with a run that nobody disturbed.

`benchmarks.chaos` drives it for hours, `tests/pipelines/rephrase/test_chaos.py` for a minute.
"""
