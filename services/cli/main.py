"""The `sonic` command: its beginning."""

from __future__ import annotations

import sys

from services.cli import early


def main() -> None:
    """Entry point. See services.cli.assembly.obey."""
    early.begin(sys.argv[1:])
    # Some thousand modules, which what was begun does not wait for.
    from services.cli.assembly import obey

    obey()


if __name__ == "__main__":
    main()
