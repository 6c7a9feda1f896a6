"""What the fleet is measured beside; each runs in an environment of its own, which ``install`` makes."""
