"""What happened in a run, as one value; its JSON, and the replay of recorded calls."""
