"""The documentation says what is: its code is in examples/, its output is printed, its tables are the code's.

A block begins with ``<!-- code PATH [NAME …] -->``, ``<!-- output pytest|python PATH -->`` or
``<!-- table WHAT [WHICH] -->`` and ends with ``<!-- end -->``; what stands between is made by this file:
``python tests/test_readme.py --write`` writes it anew.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import fields
from pathlib import Path

import pytest

from pytest_retrychaos import cli, fuzz, plugin
from pytest_retrychaos.chaos import Chaos
from pytest_retrychaos.engine import TRANSITIONS, Event, State
from pytest_retrychaos.faults.vocabulary import FAULTS, OPTIONS
from pytest_retrychaos.laws import FAMILIES, LAWS
from pytest_retrychaos.options import Options
from pytest_retrychaos.report.asked import FORMATS
from pytest_retrychaos.report.document import FAULT_CLASSES
from pytest_retrychaos.report.faultclass import SCRIPTS
from pytest_retrychaos.service.profiles import PROFILES
from pytest_retrychaos.views import Assertions, RunAssertions

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(
    r"(?P<head><!-- (?P<what>code|output|table) (?P<of>.*?) -->\n)(?P<text>.*?)(?P<end><!-- end -->)", re.S
)
HOOKS = {
    "begin_test",
    "follow",
    "judge",
    "verdict",
}
"""What the plugin and the command line call on a run; no test does."""


def render(document: str) -> str:
    """Make every block anew."""
    return BLOCK.sub(lambda block: block["head"] + MAKERS[block["what"]](*block["of"].split()) + block["end"], document)


# blocks


def code(path: str, *names: str) -> str:
    """Show a file without its docstring, or some of its functions and constants."""
    source = (ROOT / path).read_text(encoding="utf-8")
    lines = source.splitlines()
    tree = ast.parse(source)
    if not names:
        begin = next(node.lineno for node in tree.body if not _is_preface(node))
        return _fenced("python", "\n".join(lines[begin - 1 :]))
    found = [node for name in names for node in tree.body if name in _names(node)]
    assert len(found) == len(names), f"{path} has not all of {names}"
    return _fenced("python", "\n\n\n".join("\n".join(lines[_first(node) - 1 : node.end_lineno]) for node in found))


def _is_preface(node: ast.stmt) -> bool:
    is_docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_docstring or (isinstance(node, ast.ImportFrom) and node.module == "__future__")


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {target.id for target in targets if isinstance(target, ast.Name)}


def _first(node: ast.stmt) -> int:
    decorators = node.decorator_list if isinstance(node, ast.FunctionDef | ast.ClassDef) else []
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def output(how: str, path: str) -> str:
    """Run a file and show what it prints; a test file is run in a directory of its own, as test_charge.py."""
    with tempfile.TemporaryDirectory() as directory:
        if how == "pytest":
            shutil.copy(ROOT / path, Path(directory, "test_charge.py"))
            options = ["-p", "no:cacheprovider", "--hypothesis-seed=0", "-q", "--tb=short"]
            command = [sys.executable, "-m", "pytest", *options, "test_charge.py"]
        else:
            command = [sys.executable, str(ROOT / path)]
        own = ("PYTEST_", "COV_", "CI", "BUILD_NUMBER")  # under CI pytest writes its summary lines whole
        plain = {name: value for name, value in os.environ.items() if not name.startswith(own)}
        # Of the plugins that are installed for the tests those two of which the outputs tell.
        plugins = {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "pytest_retrychaos.plugin,_hypothesis_pytestplugin",
        }
        environment = {**plain, **plugins, "COLUMNS": "100", "NO_COLOR": "1", "PYTHONPATH": str(ROOT)}
        run = subprocess.run(
            command, cwd=directory, env=environment, capture_output=True, encoding="utf-8", check=False
        )
    assert not run.stderr, run.stderr
    lines = [line.rstrip() for line in run.stdout.splitlines()]
    text = re.sub(r" in \d+\.\d+s( \(\d+:\d+:\d+\))?", " in 0.05s", "\n".join(lines))
    # How much is drawn differs from one Hypothesis to the next.
    text = re.sub(r"drew \d+ examples: \d+ histories run.*", "drew 200 examples: 180 histories run", text)
    return _fenced("text", text)


def _fenced(language: str, text: str) -> str:
    return f"```{language}\n{text.strip()}\n```\n"


# tables


def table(what: str, *which: str) -> str:
    """Show one of the code's own tables."""
    return TABLES[what](*which)


def _table(*rows: Iterable[str]) -> str:
    head, *body = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def faults() -> str:
    rows = [(f"`{fault.usage}`", fault.summary, fault.commit.value) for fault in FAULTS.values()]
    return _table(("fault", "what the client sees", "does the service take effect?"), *rows)


def fault_options() -> str:
    def takers(word: str) -> str:
        return ", ".join(f"`{fault.word}`" for fault in FAULTS.values() if word in fault.options)

    return _table(("option", "of"), *((f"`{option.example}`", takers(word)) for word, option in OPTIONS.items()))


def laws() -> str:
    return _table(("code", "law"), *((f"[{law.code}](docs/laws.md#{law.code.lower()})", law.statement) for law in LAWS))


def transitions() -> str:
    """Show what each event makes of each state of a circuit breaker."""
    rows = [
        (
            f"*{event.value}*",
            *(TRANSITIONS[state][event].value if event in TRANSITIONS[state] else "" for state in State),
        )
        for event in Event
    ]
    return _table(("event", *(f"while {state.value}" for state in State)), *rows)


def law(code: str) -> str:
    """Show one law's statement, its shapes, the wrong clients that it catches, and what its docstring says."""
    from examples.payments.test_wrong_clients import CAUGHT

    row = next(law for law in LAWS if law.code == code)
    lines = [f"{row.statement[0].upper()}{row.statement[1:]}."] if row.statement[0] != "`" else [f"{row.statement}."]
    if row.ways:
        lines += ["", f"Shapes: {', '.join(f'`{shape}`' for shape in row.shapes)}."]
    caught = [(c.__name__, script) for c, script, shapes in CAUGHT if any(s.split("/")[0] == code for s in shapes)]
    if caught:
        shown = "; ".join(f"`{name}` under `{script}`" for name, script in caught)
        lines += ["", f"Broken by, in [wrong.py](../examples/payments/wrong.py): {shown}."]
    return "\n".join([*lines, "", row.page, ""])


def families() -> str:
    return _table(("family", "about"), *((f"`{family}`", about) for family, about in FAMILIES.items()))


class _Options:
    """Collects what the plugin declares, as pytest's parser does."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def getgroup(self, *_: str) -> _Options:
        return self

    def addoption(self, name: str, *, help: str, metavar: str = "", **_: object) -> None:  # noqa: A002 - pytest's name
        self.rows.append((f"`{name}={metavar}`" if metavar else f"`{name}`", help))

    def addini(self, name: str, help: str, **_: object) -> None:  # noqa: A002 - pytest's name
        self.rows.append((f"`{name}` (ini)", help))


def options() -> str:
    declared = _Options()
    plugin.pytest_addoption(declared)  # type: ignore[arg-type] # it declares to anything of that shape
    return _table(("option", "meaning"), *declared.rows)


def reports() -> str:
    return _table(("suffix", "what it is"), *((f"`{suffix}`", what) for suffix, what in FORMATS.items()))


def fault_classes() -> str:
    rows = [(f"`{name}`", title, f"`{SCRIPTS[name]}`") for name, title in FAULT_CLASSES.items()]
    return _table(("class", "is headed", "a script in which it strikes"), *rows)


def marker() -> str:
    meanings = _field_docstrings(Options)
    rows = [(f"`{field.name}={field.default!r}`", meanings[field.name]) for field in fields(Options)]
    return _table(("argument", "meaning"), *rows)


def profiles() -> str:
    meanings = {"missing": "no key", "mismatch": "same key, other payload", "in_flight": "first still running"}
    head = ("profile", "methods", *meanings.values(), "kept")
    rows = []
    for name, profile in PROFILES.items():
        keys = profile.idempotency
        if not keys.enabled:
            rows.append((f"`{name}`", *["keys mean nothing"], *[""] * (len(head) - 2)))
            continue
        answers = [str(getattr(keys, setting)) for setting in meanings]
        never = ", ".join(str(status) for status in keys.never_stored)
        rows.append((f"`{name}`", ", ".join(keys.methods), *answers, f"{keys.stored} but {never}"))
    return _table(head, *rows)


def strategies() -> str:
    """List the strategies with their arguments."""
    made = [getattr(fuzz, name) for name in ("scripts", "faults", "retry_after_values", "outages", "delays")]
    rows = [(f"`{one.__name__}{_signature(one)}`", _first_sentence(one.__doc__)) for one in made]
    return _table(("strategy", "what it generates"), *rows)


def _signature(function: Callable[..., object]) -> str:
    parameters = [
        one.replace(annotation=inspect.Parameter.empty, default=... if one.name == "kinds" else one.default)
        for one in inspect.signature(function).parameters.values()
    ]
    return str(inspect.Signature(parameters)).replace("=Ellipsis", "=…")


def fixture() -> str:
    rows = []
    for owner in (Chaos, RunAssertions, Assertions):
        for name, member in vars(owner).items():
            if name.startswith("_") or name in HOOKS:
                continue
            meaning = inspect.getdoc(member) or ""
            rows.append((f"`chaos.{name}{_arguments(member)}`", _first_sentence(meaning)))
    return _table(("name", "what it is or does"), *rows)


def _arguments(member: object) -> str:
    if isinstance(member, property):
        return ""
    parameters = list(inspect.signature(member).parameters.values())[1:]  # type: ignore[arg-type] # a function
    shown = [str(parameter.replace(annotation=inspect.Parameter.empty)) for parameter in parameters]
    return f"({', '.join(shown)})"


def _first_sentence(text: str) -> str:
    return re.sub(r"``(.+?)``", r"`\1`", " ".join(text.split("\n\n")[0].split()))


def _field_docstrings(kind: type) -> dict[str, str]:
    body = ast.parse(inspect.getsource(kind)).body[0].body  # type: ignore[attr-defined] # a class
    pairs = itertools.pairwise(body)
    return {
        field.target.id: _first_sentence(text.value.value)  # type: ignore[union-attr,arg-type] # told by the test below
        for field, text in pairs
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr)
    }


def defaults() -> str:
    """Show what clients do by default, in the versions that are installed; `tests/clients` runs it."""
    from tests.clients.defaults import table as rows

    head = ("client", "503, `Retry-After: 2`", "silence", "reset, work done", "closed, no answer", "stale connection")
    return _table((*head, "laws"), *rows())


def conformance(which: str) -> str:
    """Show what retry engines or breakers do, in the versions that are installed; `tests/conformance` runs it."""
    from tests.conformance.tables import rows

    return _table(*rows(which))


def conformance_setups(which: str) -> str:
    """Show how each of them is set up."""
    from tests.conformance.tables import setups

    return _table(*setups(which))


def conformance_again(which: str) -> str:
    """Show the command for each bad cell."""
    from tests.conformance.tables import again

    return _table(*again(which))


def command_line(*which: str) -> str:
    """Show the options of some commands, as their own help does."""
    commands = cli.parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr] # argparse shows them nowhere
    rows: dict[str, tuple[str, str, str]] = {}
    for command, options in ((name, commands[name]) for name in which):  # type: ignore[index] # a dictionary, for subparsers
        for option in options._actions:
            name = f"`{' '.join([*option.option_strings[-1:], *([option.metavar] if option.metavar else [])])}`"
            name = name if name != "` `" else f"`{option.dest}`"
            of = f"{rows[name][1]}, {command}" if name in rows else command
            if option.dest != "help":
                rows[name] = (name, of, option.help or "")
    return _table(("option", "of", "meaning"), *rows.values())


TABLES = {
    "faults": faults, "fault-options": fault_options, "laws": laws, "law": law, "families": families,
    "options": options, "reports": reports, "fault-classes": fault_classes,
    "marker": marker, "profiles": profiles, "fixture": fixture, "defaults": defaults,
    "command-line": command_line, "transitions": transitions, "strategies": strategies,
    "conformance": conformance, "conformance-setups": conformance_setups, "conformance-again": conformance_again,
}  # fmt: skip
MAKERS = {"code": code, "output": output, "table": table}


def _versionless(document: str) -> str:
    """Leave the versions out of the tables of other libraries."""

    def leave_out(block: re.Match[str]) -> str:
        names_versions = block["of"].split()[0] in ("defaults", "conformance")
        return re.sub(r"\d+(\.\d+)+", "…", block[0]) if names_versions else block[0]

    return BLOCK.sub(leave_out, document)


# tests


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_block_is_what_the_code_says(document):
    """If this fails after a change that was meant: ``python tests/test_readme.py --write``.

    Clients may be newer than those in the table, as long as they do the same.
    """
    written = document.read_text(encoding="utf-8")

    assert _versionless(render(written)) == _versionless(written)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_no_code_stands_outside_a_block(document):
    """Every Python block and every output is checked."""
    rest = BLOCK.sub("", document.read_text(encoding="utf-8"))

    assert "```python" not in rest
    assert "```text" not in rest


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(document):
    """Links inside the repository, and to headings of it, exist."""
    text = document.read_text(encoding="utf-8")
    for place, _, anchor in re.findall(r"\]\((?!https?:)([^)#]*)(#([^)]*))?\)", text):
        target = (document.parent / place).resolve() if place else document
        assert target.exists(), place
        if anchor:
            headings = re.findall(r"^#+ (.*)$", target.read_text(encoding="utf-8"), re.M)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_law_has_a_section():
    """docs/laws.md leaves out none, and shows them in the order of the verdict."""
    text = (ROOT / "docs" / "laws.md").read_text(encoding="utf-8")

    assert re.findall(r"^### (\w+)$", text, re.M) == [law.code for law in LAWS]
    for law in LAWS:
        assert re.search(r"^- Why: .+^- Fix: ", law.page, re.M | re.S), (
            f"the docstring of {law.code} says no why or fix"
        )


def main() -> None:
    """Write every block anew."""
    if sys.argv[1:] != ["--write"]:
        sys.exit("usage: python tests/test_readme.py --write")
    for document in DOCUMENTS:
        document.write_text(render(document.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    main()
