"""What the fleet in containers needs before it starts: its accounts, and a secret for each."""
