"""`python -m cli`: the same as `backstory`."""

import sys

from cli import main

sys.exit(main())
