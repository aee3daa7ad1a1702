"""How people are reached: one file per channel, one contract suite for all. Read `base` first."""
