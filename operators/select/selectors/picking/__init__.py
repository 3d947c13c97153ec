"""What selectors share: ranks, quotas, distances, clusters."""
