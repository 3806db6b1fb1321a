"""What requests over HTTP have in common, whoever makes them."""
