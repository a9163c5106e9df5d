"""One folder or file for each module of the specification.

A folder's files have the same names everywhere: `client_api` (the endpoints), `service` (what happens), `store` (its
tables), `tasks`, and `migrations/`. A module without tables is one file. Each hands the server one `Module` value.
"""
