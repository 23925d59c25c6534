"""What is read from a Containerfile, and what is refused in it."""

import re
from pathlib import Path

import pytest

from sandbox import containerfile
from sandbox.containerfile import ContainerfileError


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("FROM scratch\nEXPOSE 80", "2: EXPOSE 80: not among the instructions"),
        ("FROM scratch AS one", "1: FROM scratch AS one: not among"),
        ("FROM scratch\nFROM scratch", "there is only one stage"),
        ("COPY a /a\nFROM scratch", "only ARG may stand before FROM"),
        ("ARG A=1", "there is no FROM"),
        ("FROM scratch\nARG A", "not among"),
        ('FROM scratch\nRUN ["a"]', "not among"),
        ("FROM scratch\nRUN <<END\na\nEND", "not among"),
        ("FROM scratch\nCOPY --chown=1 a /a", "not among"),
        ("FROM scratch\nCOPY a b /c/", "not among"),
        ("FROM scratch\nCOPY a c", "not among"),
        ("FROM scratch\nUSER ray", "not among"),
        ("FROM scratch\nENTRYPOINT /a", "not among"),
        ("FROM scratch\nENTRYPOINT [/a]", "is no list in JSON"),
        ("FROM scratch\nENTRYPOINT [1]", "is no list of texts"),
        ("FROM scratch\nUSER 1:1\nRUN a", "3: RUN a: must stand before USER"),
        ("FROM ${BASE}", "BASE is not set"),
        ("FROM scratch\nRUN a \\", "ends with a backslash"),
    ],
)
def test_what_not_every_builder_understands_alike_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text(text)
    with pytest.raises(ContainerfileError, match=re.escape(reason)):
        containerfile.read(tmp_path / "Containerfile")


def test_lines_are_joined_and_comments_between_them_left_out(tmp_path: Path) -> None:
    (tmp_path / "Containerfile").write_text("FROM scratch\n\nRUN a \\\n  # why\n  && b \\\n\n  && c\nUSER 1:1\n")
    run, user = containerfile.read(tmp_path / "Containerfile").steps
    assert run.text == "a && b && c"
    assert run.place.endswith(":3")
    assert user.place.endswith(":8")
