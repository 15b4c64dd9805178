"""`python -m server.cli`, the same as `pointsman`."""

from server.cli import main

main()
