"""Models, wherever they are."""
