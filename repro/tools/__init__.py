"""What a user does beside the studies: recognise speech, plan a run, look at the machine."""
