"""``yard``, the command line of Switchyard."""
