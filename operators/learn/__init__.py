"""Learning: losses, the trainer, reference scores of tokens, training dynamics."""
