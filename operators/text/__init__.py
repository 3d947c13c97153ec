"""Text as it is: pages into text, sentence ends, tokens, chunks."""
