"""What a migration is made of: its plan, its steps, its gate, and the bridge for queries until it is there."""
