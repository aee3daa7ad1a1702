"""Read models: what people look at, made of the events alone and disposable at any time.

Read in this order: `rows` (what is kept), `sentences` (an event in words), `handlers` (event -> rows), `tables` (rows
in Postgres), `runner` (the projector that keeps them up with the log), `queries` (what the gateway and the command
line ask), `rebuild` (the same rows made anew, compared and swapped in). `audit` and `verify` read the log alone.
"""
