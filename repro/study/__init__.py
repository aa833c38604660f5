"""The experiments: which there are, what of them is done, and how the rest is trained."""
