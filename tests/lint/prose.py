"""Plain English in prose: fails on archaic or quaint wording, and names the replacement.

`python -m tests.lint.prose [PATH …]` reads what git tracks (or only the paths below PATH): Markdown, the sentences of
templates, docstrings, comments and gettext strings of Python, comments of scripts and style sheets. Code in backticks
and fenced blocks is not prose. Add a rule to RULES when a phrase comes back in review.
"""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
# Texts of the demonstration are written in a register of their own; migrations are history.
SKIPPED = ("demo/texts.py", "demo/phrases.py", "demo/grammar.py", "/migrations/", "locale/", "LICENSE")
GETTEXT = {
    "_",
    "__",
    "gettext",
    "gettext_lazy",
    "gettext_noop",
    "ngettext",
    "ngettext_lazy",
    "pgettext",
    "pgettext_lazy",
}

# What we do not write → what we write instead. A space also matches a line break.
RULES = {
    r"mend(?:s|ed|ing)?": "edit, fix",
    r"anew": "again",
    r"in hand|in (?:\w+'s|my|your|his|her|their|other|whose) hands?": "in progress, claimed",
    r"nought|naught": "zero",
    r"shall": "will, must",
    r"what (?:came|comes|has come) of": "results, outcome",
    r"(?:is|are|was|were) told (?:as|by|in)|told (?:as|by)": "reported as, specified by",
    r"(?:everything|was|were|what is|what people|better) said": "labels, answers, stated; or use the verb's noun",
    r"(?:it|that|this|which|what|who|who's|answer|due|true) stands?": "is, stays in effect, is current",
    r"stands? (?:until|in|as|at|where|there|still|on top|between)": "stays in effect, is, is in",
    r"the house(?! style)|house (?:words?|plan|rules?)": "architecture, conventions",
    r"design\.md": "docs/architecture.md",
    r"by chance": "at random",
    r"by heart": "memorised",
    r"not (?:yet )?begun|just begun|(?:is|are|was) begun": "started",
    r"all but done|nine tenths|three quarters done": "almost done, a percentage",
    r"heed(?:s|ed|ing)?": "obey, check",
    r"aloud": "with a message",
    r"once more": "again",
    r"without a word|last words?|a word (?:to|from)|breathes? a word": "message, result",
    r"to be put|how to put it": "translation",
    r"veil": "idle prompt",
    r"lest|whereby|thereof|hereof|whence|hither|thither|forthwith|hitherto|heretofore|ere": "current English",
    r"whosoever|whomsoever|somebody else's hand": "anyone who",
    r"the very (?:same|figures)": "the same",
    r"look(?:s|ed)? through again": "rescanned",
    r"nothing of the (?:product|site)": "none of",
    r"to be had": "available",
    r"so has? it": "current English",
}
BLANK = r"[\s#*]+"  # a phrase may be broken between two lines of a comment
PATTERNS = [
    (re.compile(r"\b(?:" + rule.replace(" ", BLANK) + r")\b", re.IGNORECASE), better) for rule, better in RULES.items()
]


@dataclass(frozen=True)
class Finding:
    path: str
    line: int
    phrase: str
    better: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: “{self.phrase}” → {self.better}"


def blank(match: re.Match[str]) -> str:
    """The matched text as line breaks and one space, so that line numbers stay."""
    return "\n" * match[0].count("\n") or " "


def markdown(text: str) -> Iterator[tuple[int, str]]:
    text = re.sub(r"^( *)(```|~~~).*?^\1?\2", blank, text, flags=re.DOTALL | re.MULTILINE)
    text = re.sub(r"`[^`\n]*`|\]\([^)]*\)|<!--.*?-->", blank, text, flags=re.DOTALL)
    yield 1, text


def template(text: str) -> Iterator[tuple[int, str]]:
    text = re.sub(r"<(script|style)\b.*?</\1>", blank, text, flags=re.DOTALL)
    text = re.sub(r"""\{%-?\s*translate\s+(["'])(.*?)\1.*?%\}""", r" \2 ", text, flags=re.DOTALL)
    yield 1, re.sub(r"\{%.*?%\}|\{\{.*?\}\}|<[^>]*>", blank, text, flags=re.DOTALL)


def python(text: str) -> Iterator[tuple[int, str]]:
    yield from comments(text)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, ticks(node.value.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in GETTEXT:
            for value in node.args:
                if isinstance(value, ast.Constant) and isinstance(value.value, str):
                    yield value.lineno, value.value


def comments(text: str) -> Iterator[tuple[int, str]]:
    """Comments of Python; those on following lines as one, since a phrase may be broken between them."""
    start, lines, last = 0, [], -1
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type != tokenize.COMMENT:
            continue
        if token.start[0] != last + 1:
            if lines:
                yield start, ticks("\n".join(lines))
            start, lines = token.start[0], []
        lines.append(token.string)
        last = token.start[0]
    if lines:
        yield start, ticks("\n".join(lines))


def script(text: str) -> Iterator[tuple[int, str]]:
    for match in re.finditer(r"/\*.*?\*/|(?:(?:^|(?<=\s))//[^\n]*(?:\n\s*(?=//))?)+", text, flags=re.DOTALL):
        yield text.count("\n", 0, match.start()) + 1, ticks(match[0].replace("//", "  "))


def ticks(text: str) -> str:
    return re.sub(r"`[^`\n]*`", blank, text)


READERS = {".md": markdown, ".html": template, ".txt": template, ".py": python, ".js": script, ".css": script}


def findings(path: str, text: str) -> list[Finding]:
    """All findings of one file, in the order of its lines; an empty list for a kind of file that holds no prose."""
    reader = READERS.get(Path(path).suffix)
    if reader is None:
        return []
    results = []
    for line, prose in reader(text):
        for pattern, better in PATTERNS:
            for match in pattern.finditer(prose):
                number = line + prose.count("\n", 0, match.start())
                results.append(Finding(path, number, " ".join(match[0].split()), better))
    return sorted(results, key=lambda finding: (finding.line, finding.phrase))


def tracked_files(below: list[str]) -> list[str]:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *below]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [
        path
        for path in listing.splitlines()
        if Path(path).suffix in READERS and not any(part in path for part in SKIPPED) and (ROOT / path).exists()
    ]


def main(below: list[str]) -> int:
    paths = tracked_files(below)
    results = [finding for path in paths for finding in findings(path, (ROOT / path).read_text(encoding="utf-8"))]
    for finding in results:
        print(finding)
    print(f"prose: {len(results)} findings in {len({finding.path for finding in results})} of {len(paths)} files")
    return 1 if results else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
