"""Tasks with a countdown or an eta wait in the fleet's shared state, and not in workers.

A message that may not run yet is stored instead of published (``producer``), in one table for all brokers (``table``).
Any process of the fleet that lives publishes it when it is due (``mover``).  A revoke takes it out (``remote``).
"""
