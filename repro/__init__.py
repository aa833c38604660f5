"""Replication of attention pooling for speech emotion recognition (Li et al., Interspeech 2018)."""

__version__ = "0.1.0"
