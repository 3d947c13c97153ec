"""Counts of what happened, in a form that adds up: nested dictionaries with numbers at the leaves."""

from typing import Any

Counts = dict[str, Any]


def add_counts(*counts: Counts) -> Counts:
    """Add nested counts leaf by leaf."""
    total: Counts = {}
    for one in counts:
        for key, value in one.items():
            if isinstance(value, dict):
                total[key] = add_counts(total.get(key, {}), value)
            else:
                total[key] = total.get(key, 0) + value
    return total


def without_counts(counts: Counts, less: Counts) -> Counts:
    """Subtract nested counts leaf by leaf; what comes to nothing is left out."""
    rest: Counts = {}
    for key, value in counts.items():
        if isinstance(value, dict):
            rest[key] = without_counts(value, less.get(key, {}))
        elif value - less.get(key, 0):
            rest[key] = value - less.get(key, 0)
    return rest
