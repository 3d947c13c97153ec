"""Chunks into rewrites: requests, prompts, what is repaired, dropped, checked and mixed."""
