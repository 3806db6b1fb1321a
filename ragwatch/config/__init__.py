"""The configuration: its sections as frozen types, and how a file is read into them."""
