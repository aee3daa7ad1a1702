"""`make bench`: how fast, measured beside the limits of the same machine in the same run."""
