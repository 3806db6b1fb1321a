"""Finding kinds, severities and status. Pure."""
