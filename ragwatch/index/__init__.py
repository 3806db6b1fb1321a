"""What an index should hold, what it holds, and the difference. Pure: nothing here does I/O."""
