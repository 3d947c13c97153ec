"""Where it runs: connect, size, submit, schedule, watch. It is handed commands and callables and knows no operator.

session.py     starts or joins Ray
joining.py     why a cluster cannot be joined
log.py         what else is printed
errors.py      what a cluster can refuse
resources.py   what there is
claims.py      what work takes of it
workers.py     tasks, and processes that are ready before they are needed
training.py    a function on workers of Ray Train
"""
