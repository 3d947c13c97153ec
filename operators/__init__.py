"""What can be done to a batch of rows, in one process. Nothing here knows of Ray, pipelines or clusters."""
