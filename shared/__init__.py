"""What the services of a fleet agree on: names, queues, routing, signatures, publishing, metrics."""
