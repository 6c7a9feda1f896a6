"""What somebody who looks after the fleet sees and does, without a terminal or HTTP: both stand on this."""
