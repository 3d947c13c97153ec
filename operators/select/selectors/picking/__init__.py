"""What several selectors pick by.

columns.py           columns of a pool as numbers, and why one is missing
ranking.py           the rows with the best scores while a pool goes by, and chance beside the scores (Gumbel top-k)
picks.py             one row after the other until the budget is spent; seeded random numbers of rows
quotas.py            how many rows each cluster may give
k_means.py           clusters of embeddings
neighbours.py        cosines of rows, and the nearest rows
distances.py         squared distances to a growing list of centers
farthest_first.py    greedy k-center without a pass over all rows for each pick
compression.py       how far a list of rows compresses with one row more
"""
