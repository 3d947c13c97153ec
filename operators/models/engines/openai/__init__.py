"""Any server that speaks OpenAI's protocol.

engine.py      the engine
endpoints.py   its addresses, and which may be sent to next
answers.py     a completion, in all the forms in which servers send it
protocol.py    what they say beside it: refusals, errors, pauses
proxies.py     the way there, where the environment names one
"""
