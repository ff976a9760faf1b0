"""`python -m node` is `hedgerow`, for where the command is not on the path."""

from node.cli import main

main()
