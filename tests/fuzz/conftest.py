"""The tests here share modules of this folder: the generators of programs, and the checks."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
