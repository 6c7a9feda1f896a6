"""The same proof over containers: a project of ``compose.yaml`` of its own is struck, and PostgreSQL is its ledger."""
