"""Ways to choose training data, a file each.

base.py                 the contract: what a selector is made of, what it sees of a pool, a budget, a choice
random.py               uniform, or stratified by a column: the baseline
length.py               by the number of tokens
cross_entropy.py        by the loss of the answer
perplexity.py           by the perplexity of the answer: lowest, middle or highest
ifd.py                  by how little the question helps to predict the answer (Cherry, Superfiltering)
selectit.py             by a model's own ratings, and how sure it is of them (SelectIT)
less.py                 by gradients like those of a target set (LESS)
k_center.py             each row the farthest from those chosen before
diverse_evol.py         the rows of rounds in which a student learns what was chosen (DiverseEvol)
facility_location.py    rows that stand for all others
zip.py                  the least compressible together (ZIP)
clustered.py            the best of each cluster of K-means
rds.py                  embeddings like those of a target set, in turns (RDS+)
dsir.py                 n-grams like those of a target set, by importance (DSIR)
deita.py                complexity times quality, and none like one chosen before (DEITA)
picking/                what several of them pick by
"""
