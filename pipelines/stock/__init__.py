"""Models, wherever they are.

models.py   a folder, a name on the hub, an address in object storage, the last checkpoint of an artifact
"""
