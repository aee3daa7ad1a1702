"""The words and rules of alerting, as pure functions of (state, input, now).

Nothing here reads a clock, a random number, the environment, a file or a socket: `now` is an argument,
identifiers are derived, and the states a decision looks at are handed in. Read in this order: `alerts`,
`routing`, `groups`, `incidents`, `escalations`, `pages` (the words), then `book` (what a decision may look
at and write), then `folding`, `stepping`, `commands` (the decisions that cross several words).
"""
