"""Choosing training data: what is measured of examples, who chooses by it, and whether that was better than chance."""
