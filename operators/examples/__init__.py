"""Records as what is asked and answered."""
