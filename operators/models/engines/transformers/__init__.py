"""Generation with plain transformers."""
