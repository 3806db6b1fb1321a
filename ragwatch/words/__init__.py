"""What everything that is shown has in common: text, JSON and addresses that are safe to show. Pure."""
