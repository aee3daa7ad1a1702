"""HTTP in: webhooks from machines, commands and questions from people.

Read `app` for how it is put together, `parts` for what it is given. `webhooks` -> `intake` is the way of an alert,
`incidents` -> `commands` that of a person; `auth` says who may do what, `refusals` how a no is said.
"""
