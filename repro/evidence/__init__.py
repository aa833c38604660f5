"""What results say: scores with intervals, effects, and verdicts on the paper's claims."""
