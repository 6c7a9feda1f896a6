"""What must differ from kombu's own transports, as subclasses of them."""
