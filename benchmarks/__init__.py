"""How fast, beside what else, measured in one run. Each file is one command; README.md here has what came out."""
