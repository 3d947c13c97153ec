"""Any server that speaks OpenAI's protocol.

engine.py      the engine
endpoints.py   its addresses, and which may be sent to next
protocol.py    what comes back: answers, refusals, pauses
"""
