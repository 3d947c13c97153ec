"""Choosing training data: what is measured of examples, who chooses by it, and whether that was better than chance.

measure/      what models and counts say of an example, a feature a file
selectors/    a way to choose a file
choices/      what was chosen, compared
evaluate/     what a student answers
comparison/   students compared: does a choice beat chance?
"""
