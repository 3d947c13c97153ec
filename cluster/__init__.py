"""Where it runs: connect, size, submit, schedule, watch. It is handed commands and callables and knows no operator.

session.py     starts or joins Ray
resources.py   what there is
claims.py      what work takes of it
workers.py     processes that are ready before they are needed
training.py    a function on workers of Ray Train
"""
