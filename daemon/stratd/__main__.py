"""python -m stratd"""

from __future__ import annotations

from stratd.cli.main import main

if __name__ == "__main__":
    raise SystemExit(main())
