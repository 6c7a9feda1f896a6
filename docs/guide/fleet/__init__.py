"""The fleet that the pages of the guide use: three queues on three brokers, and tasks that do as little as they can."""
