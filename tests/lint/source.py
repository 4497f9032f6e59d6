"""What the lint scripts share: where the sources are, and C text without comments and strings."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]


def c_files(*folders):
    """All .c and .h files under the folders, sorted."""
    found = []
    for folder in folders or ("src", "include", "fuzz", "tests"):
        found += (path for path in (ROOT / folder).rglob("*.[ch]") if "build" not in path.parts)
    return sorted(found)


_PARTS = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.DOTALL)


def without_comments_and_strings(text):
    """The same number of lines, with comments and literals blanked."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group())
    return _PARTS.sub(blank, text)


def report(problems):
    """Prints the problems and ends the script."""
    for path, line, text in problems:
        print(f"{path.relative_to(ROOT)}:{line}: {text}")
    sys.exit(1 if problems else 0)
