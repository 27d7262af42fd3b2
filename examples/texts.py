"""Writes docs/gallery/write.md: ten works of each kind, seeds 1 to 10, none left out.

python examples/texts.py docs/gallery/write.md
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import danqing

# What is asked for, as the command line says it; every one with the seeds 1 to 10.
ASKED = (
    "--form 七绝 --topic 明月",
    '--form 五律 --topic "秋 送别"',
    "--form 词:浣溪沙 --topic 春",
    "--form 对联 --start 海内存知己",
    "--form 五绝 --acrostic 春夏秋冬",
    "--form 七律 --poet 王维",
    '--form quatrain --topic "the sea in autumn"',
    "--form sonnet --topic time",
    "--form haiku --topic snow",
    '--form story --language en --topic "a fox who wanted the moon" --length 150',
    "--form story --topic 书生夜遇女鬼 --length 200",
    "--form script --length 150",
)
HEAD = """# Texts

The first ten works of each kind, seeds 1 to 10, none left out and nothing changed, by the models that ship. Each is
made again by the command above it with its seed; all of them by `python examples/texts.py docs/gallery/write.md`.
"""
VALUES = {"length": int}


def works(asked: str) -> list[str]:
    """The ten works as Markdown: one a paragraph, its rows kept."""
    words = shlex.split(asked)
    options = {
        name.removeprefix("--"): VALUES.get(name.removeprefix("--"), str)(value)
        for name, value in zip(words[::2], words[1::2], strict=True)
    }
    found = []
    for seed in range(1, 11):
        content = danqing.write(seed=seed, **options).artwork.content
        rows = "  \n".join(row or "&nbsp;" for row in content.lines)
        found.append(f"**{seed}** {content.title}  \n{rows}" if content.title else f"**{seed}**  \n{rows}")
    return found


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    page = parser.parse_args().page
    parts = [HEAD]
    for asked in ASKED:
        sys.stderr.write(f"{asked}\n")
        parts += [f"## `danqing write {asked}`", *works(asked)]
    page.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
