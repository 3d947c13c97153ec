"""How rows flow through Ray, with faults."""
