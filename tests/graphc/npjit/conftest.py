"""The tests here share modules of this folder: the harness, the cases, the traps."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
