"""Rows and transactions: the one log, events, snapshots, memberships, followers, leases; on SQLite and PostgreSQL."""
