"""What is learned, and what learning shows.

training/   the trainer, which knows no method
losses/     which tokens count, a method a file
score/      what a reference makes of every token
dynamics/   how the loss of each token moves
"""
