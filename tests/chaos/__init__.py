"""Faults under load: kills, outages, freezes and cut connections, with a record of every execution.

``make test-chaos`` runs every scenario in its long form and prints what became of each published task;
``python -m tests.chaos --help`` says how to choose and to shorten them.
"""
