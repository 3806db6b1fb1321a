"""Documents, chunks, chunking and identity. Pure: nothing here reads a file, a clock or the network."""
