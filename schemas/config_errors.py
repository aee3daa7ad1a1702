"""What is wrong with a configuration: every error with its place, what it is, and what to do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConfigError:
    """One error. `line` and `column` count from 1; `path` is the way to the value, () for the file itself."""

    file: str
    line: int
    column: int
    path: tuple[str | int, ...]
    problem: str
    remedy: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}:"
        named = f" {path_text(self.path)}:" if self.path else ""
        return f"{where}{named} {sentence(self.problem)} {sentence(self.remedy)}"


class ConfigErrors(ValueError):
    """A configuration that is refused, with everything that is wrong with it; its text is one error per line."""

    def __init__(self, errors: tuple[ConfigError, ...]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = errors


def path_text(path: tuple[str | int, ...]) -> str:
    """`escalation_policies.platform-default.steps[1].targets[0].user`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")


def sentence(text: str) -> str:
    """With a full stop, if it has no end of its own."""
    return text if text.endswith((".", "?", "!")) else f"{text}."
