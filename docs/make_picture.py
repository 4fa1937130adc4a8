"""Draw the picture at the top of the README from a real run: this script writes docs/picture.svg."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).parents[1]
WIDTH = 104
STYLES = (
    (r"^\$ .*", "bold green"),
    (r"^Epoch.*", "cyan"),
    (r"^held-out.*|^one step.*|^graphc is.*", "bold yellow"),
    (r"@ .*$", "bright_black"),
    (r"\b(kernel|matmul|add|relu|return|graph|weights|greater|select)\b(?= )", "magenta"),
    (r"%[\w.]+", "bright_blue"),
)


def excerpt(lines: list[str]) -> list[str]:
    """What the picture shows: the table, some epochs, the first kernels of the fused step, the speed."""
    epochs = [i for i, line in enumerate(lines) if line.startswith("Epoch")]
    head = [*lines[: epochs[0] + 2], "...", *lines[epochs[-1] : epochs[-1] + 4]]
    start = next(i for i, line in enumerate(lines) if line.startswith("{")) + 1
    ends = [i for i in range(start, len(lines)) if lines[i].startswith("  }")]
    kernels = lines[start : ends[0] + 1]
    masked = next(i for i, line in enumerate(lines) if " greater " in line)
    first = max(i for i in range(masked) if " kernel " in lines[i] and lines[i].startswith("  %"))
    last = next(i for i in range(masked, len(lines)) if lines[i].startswith("  }"))
    return [*head, "  ...", *kernels, "  ...", *lines[first : last + 1], "  ...", *lines[-2:]]


def main() -> None:
    command = [sys.executable, "-m", "graphc", "run", "examples/digits.py"]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    console = Console(record=True, width=WIDTH, file=io.StringIO(), legacy_windows=False)
    for line in ["$ graphc run examples/digits.py", *excerpt(output.rstrip().splitlines())]:
        text = Text(line[:WIDTH])
        for pattern, style in STYLES:
            text.highlight_regex(pattern, style)
        console.print(text, no_wrap=True, overflow="crop")
    # the fonts of the viewer's machine: nothing is fetched when the page is shown
    svg = console.export_svg(title="graphc", unique_id="graphc")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    (ROOT / "docs" / "picture.svg").write_text("\n".join(s.rstrip() for s in svg.splitlines()) + "\n")


if __name__ == "__main__":
    main()
