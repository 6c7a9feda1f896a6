"""What runs in a worker's parent process."""
