"""`python -m holofusion`: the command, where its script is not on the path."""

from holofusion.cli.main import main

main()
