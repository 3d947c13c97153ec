"""Rules that repair or drop a rewrite."""
