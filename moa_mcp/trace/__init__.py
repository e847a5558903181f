"""The trace of a run, its JSON form, and the state of a recorded run for a resume."""
