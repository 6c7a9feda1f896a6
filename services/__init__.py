"""The three services of Switchyard; each stands on ``shared`` and none imports another."""
