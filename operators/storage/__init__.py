"""Where documents come from and artifacts go: base.py states the contract, a format keeps it in one file."""
