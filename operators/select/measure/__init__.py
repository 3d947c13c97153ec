"""What is measured of the rows of a pool, a file each.

base.py                  the contract: rows in, features beside them out
lengths.py               how many tokens
likelihood.py            how likely a language model finds the answers, and its embeddings of the rows
sentence.py              sentence embeddings
rating.py                a language model's ratings (SelectIT)
complexity_quality.py    how complex the questions are, and how good the answers (DEITA)
ngrams.py                words and pairs of words in buckets (DSIR)
gradients/               gradients with respect to adapters (LESS)
reading/                 how a language model reads what is measured
"""
