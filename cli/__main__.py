"""`python -m cli`: the same as `backstory`."""

from cli import main

main()
