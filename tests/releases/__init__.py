"""What each release left in brokers, shared state, ledger and storage; a later one goes on with it.

``python -m tests.releases.store`` writes that of the present one; ``tests/faults/test_stored_releases.py`` reads all.
"""
