"""`make bench`: how fast, measured beside the limits of the same machine in the same run.

Nothing here judges: no number fails a run. What is measured and how to read it: docs/explanation/speed.md. Read next:
`site` (what is loaded), `plan` and `load` (the generator, a process of its own), one of `measures/`, then `rounds`.
"""
