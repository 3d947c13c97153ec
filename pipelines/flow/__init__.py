"""How rows flow through Ray, with faults.

input/     from the files of an input to pieces of documents
orders/    the unit of work, from requests to a committed part
engines/   operators beside engines, in a pool of actors
faults/    one row that raises, hangs or kills its process leaves alone
stream/    the stages of a pipeline over orders, beside each other
board/     what all processes of a run know of each other
"""
