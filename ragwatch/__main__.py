"""`python -m ragwatch`."""

from ragwatch.cli import main

main()
