"""Models, wherever they are.

models.py        a folder here or in object storage, a name on the hub, the last checkpoint of an artifact
checkpoints.py   the checkpoints of a training artifact
fit.py           whether a model goes with packed rows
"""
