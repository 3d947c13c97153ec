"""vLLM in this process, on GPUs or on the CPU.

engine.py      the engine
in_process.py  its core in a thread of this process
arguments.py   the settings that are taken where none were given
lifeline.py    a child process that does not outlive its parent
"""
