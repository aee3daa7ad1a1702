"""Every effect of the code and every failpoint, found by reading the source: nothing here is kept by hand.

An effect is a call that changes something outside the process: a statement that writes, a record sent, a file
written, a message handed over, a consumer put elsewhere. Statements given to a cursor that is a parameter belong to
the transaction of whoever opened it; that one has the failpoint.
"""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("streams", "projections", "gateway")
STATEMENTS = {"execute", "executemany", "_rows", "_execute", "_do"}
"""Methods whose first argument is a statement."""
OTHERS = {
    *("send", "send_and_wait", "create_topics", "delete_topics", "transaction", "commit", "seek"),
    *("fsync", "write", "write_text", "write_bytes", "rename", "link", "unlink", "truncate", "mkdir"),
}
"""Methods that are effects whatever they are given."""
PURE = {
    *("book.write", "commands.execute", "alert_commands.execute", "consumer.seek"),
    *("file.write", "file.seek", "file.truncate", "sys.stderr.write", "sys.stdout.write"),
    *("self.transport.write", "self._inbox.write", "self._spots.write"),
}
"""Calls of such a name that are no effects: of a book of decisions, of a consumer that reads by itself, of an answer.

What is written into an open file is an effect once it is synced.
"""
WRITES = re.compile(
    r"(?<!for )(?<!do )\b(insert|update|delete|notify|nextval|alter|drop|create|pg_(try_)?advisory_(xact_)?lock)\b"
)
POINTS = {"reach", "effect", "_changed", "_claim_inbox"}
OWNED = {"cursor", "connection", "sends"}
"""Parameters of those who write in somebody else's transaction."""

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Effect:
    """A call that changes something: where, in which function, what is called."""

    module: str
    function: str
    line: int
    call: str
    has_failpoint: bool

    @property
    def place(self) -> str:
        return f"{self.module}.{self.function}"


def modules() -> Iterator[tuple[str, ast.Module]]:
    """The modules of the packages that have effects, by their dotted names."""
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
            if name != "streams.failpoints":
                yield name, ast.parse(file.read_text(encoding="utf-8"))


def effects() -> list[Effect]:
    """Every effect of the code."""
    return [found for name, tree in modules() for found in effects_of(name, tree)]


def effects_of(module: str, tree: ast.Module) -> list[Effect]:
    """The effects of one module. A statement given to a function of the module has the failpoints of that one."""
    functions = [node for node in ast.walk(tree) if isinstance(node, Function)]
    helpers = {function.name for function in functions if _has_failpoint(function)}
    found = _in_body(module, tree, (), _assigned(tree.body))
    return [replace(one, has_failpoint=one.has_failpoint or one.call.split(".")[-1] in helpers) for one in found]


def _assigned(statements: Iterable[ast.AST]) -> dict[str, ast.expr]:
    """What names are given, by these statements."""
    return {
        target.id: statement.value
        for statement in statements
        if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value
        for target in (statement.targets if isinstance(statement, ast.Assign) else [statement.target])
        if isinstance(target, ast.Name)
    }


def _in_body(module: str, node: ast.AST, around: tuple[Function, ...], names: dict[str, ast.expr]) -> Iterator[Effect]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, Function):
            yield from _in_body(module, child, (*around, child), {**names, **_assigned(ast.walk(child))})
            continue
        if isinstance(child, ast.Call) and around and _is_effect(child, around[-1], names):
            guarded = any(_has_failpoint(function) for function in around)
            yield Effect(module, around[-1].name, child.lineno, ast.unparse(child.func), guarded)
        yield from _in_body(module, child, around, names)


def _is_effect(call: ast.Call, function: Function, names: dict[str, ast.expr]) -> bool:
    if not isinstance(call.func, ast.Attribute):
        return False
    receiver, method = ast.unparse(call.func.value), call.func.attr
    if f"{receiver}.{method}" in PURE:
        return False
    parameters = {argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)}
    owned = receiver in OWNED and receiver in parameters
    if method in STATEMENTS:
        return not owned and bool(call.args) and _writes(call.args[0], parameters, names)
    return method in OTHERS and not (owned and method == "transaction" and _only_reads(function))


def _writes(statement: ast.expr, parameters: set[str], names: dict[str, ast.expr]) -> bool:
    """Whether a statement changes something. One that is a parameter is its caller's, where it is looked at."""
    used = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    texts = [statement, *(names[name] for name in used if name in names)]
    said = [node.value for text in texts for node in ast.walk(text) if isinstance(node, ast.Constant)]
    words = " ".join(text for text in said if isinstance(text, str))
    if not words:
        return not used & parameters
    return bool(WRITES.search(words.lower()))


def _only_reads(function: Function) -> bool:
    """Whether every statement that a function gives by name in its own words only reads."""
    return not any(WRITES.search(text.lower()) for text in _texts(function))


def _texts(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            yield one.value


def _has_failpoint(function: Function) -> bool:
    return any(isinstance(call, ast.Call) and _called(call) in POINTS for call in ast.walk(function))


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


def _calls_of_points(node: ast.AST) -> Iterator[tuple[str, str]]:
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and (name := _called(call)) in POINTS and call.args:
            for text in _texts(call.args[0]):
                yield name, text


def points() -> list[str]:
    """Every failpoint, by name."""
    found: list[str] = []
    for _, tree in modules():
        for name, text in _calls_of_points(tree):
            found += [text] if name == "reach" else [f"{text}:before", f"{text}:after"]
    return sorted(found)
