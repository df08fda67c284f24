"""`python -m medspark.cli`: the command without its script."""

from medspark.cli.main import main

main()
