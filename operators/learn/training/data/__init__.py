"""What is trained on, sample by sample.

order.py     which row is the n-th sample, whatever the number of ranks
feeding.py   samples into batches; scores held against their rows
"""
