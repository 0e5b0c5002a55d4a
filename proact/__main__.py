"""`python -m proact` is the command line."""

from proact.cli import main

main()
