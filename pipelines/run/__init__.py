"""What one run of a pipeline is."""
