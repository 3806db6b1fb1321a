"""Where golden queries come from and what they must stand up to."""
