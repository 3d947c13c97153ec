"""Models: causal language models in parts, sentence encoders, and engines that generate."""
