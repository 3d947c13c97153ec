"""What is durable of an artifact, and who may write it. Knows no Ray."""
