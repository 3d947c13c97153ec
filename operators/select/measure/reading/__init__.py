"""How a language model reads examples that are measured: contexts in a line, a forward, what it predicted."""
