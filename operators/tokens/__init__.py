"""Text into tokens, and tokens into rows of one length."""
