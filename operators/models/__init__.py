"""Models: causal language models in parts, sentence encoders, and engines that generate.

causal_lm.py          a language model as body and head
head.py               the head: losses of tokens without all logits in memory
lora.py               adapters beside the linear layers
device.py             where a model runs
contexts.py           contexts of like length together in batches
sentence_encoder.py   sentence embeddings
engines/              what completes requests
chains.py             rows that an engine is asked about, one call after the other
smollm2.py            a real instruct model out of a package, for machines that reach no hub
llama_gguf.py         a Llama out of a GGUF file
"""
