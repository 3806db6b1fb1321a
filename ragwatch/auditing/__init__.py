"""What an audit is made of: samples, the encoder's own noise, and the comparison of vectors."""
