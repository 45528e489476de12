"""What the README says of motion files is what the readers say of themselves."""

import re
from pathlib import Path

from pipeline.motion.formats import FORMATS, MotionFormat

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def row(kind: MotionFormat) -> str:
    """The format's line, with Markdown's own characters as plain text."""
    cells = (kind.name, kind.expects, kind.uses, kind.how_to_export)
    plain = " | ".join(re.sub(r"([*<])", r"\\\1", cell) for cell in cells)
    return f"| {plain} |"


def test_every_format_has_its_row_and_no_other_does():
    start = README.index("| format | recognised by | what is used | how to export it |")
    table = README[start:].split("\n\n", 1)[0].splitlines()[2:]
    assert table == [row(kind) for kind in FORMATS]
