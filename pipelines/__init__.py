"""What we do, in which order: Ray Data DAGs, config, the command line."""
