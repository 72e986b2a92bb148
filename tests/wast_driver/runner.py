"""Run the commands of a script and say what became of each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import wasmtime
from wasmtime import component as wc

from tests.wast_driver import engine as wt
from tests.wast_driver.host import Sink, new_linker
from tests.wast_driver.script import Command, assemble, commands, component_id
from tests.wast_driver.sexpr import Atom, Form, Node, Str
from tests.wast_driver.values import Plain, UnknownValue, from_form

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"
DEFINITION, ASSERTION = "definition", "assertion"

Transform = Callable[[bytes], bytes]
_FRAME_OR_CAUSE = re.compile(r"^\s*(?:\d+:\s+)?")


@dataclass(frozen=True, slots=True)
class Hook:
    """What is done to each component before it is instantiated (never to ones expected invalid)."""

    transform: Transform | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one command.

    ``kind`` is ``definition`` or ``assertion`` (bare ``invoke`` and ``(component instance)`` count
    as assertions).  For definitions ``stage`` says how far it came: ``text`` (not assembled),
    ``assembled``, ``valid`` (wasmtime accepts it) or ``instantiated``.
    """

    line: int
    kind: str
    status: str
    detail: str = ""
    stage: str = ""


class NotRun(Exception):
    """The command needs something this driver, or wasmtime, does not have."""


class Failed(Exception):
    """The command did not come out as the script says."""


def cause(error: BaseException) -> str:
    """The innermost reason of a wasmtime error, without backtrace (which a weave may change)."""
    text = str(error)
    _, found, tail = text.rpartition("Caused by:")
    lines = [_FRAME_OR_CAUSE.sub("", line) for line in (tail if found else text).splitlines()]
    return "; ".join(line for line in lines if line.strip())


@dataclass(slots=True)
class _Script:
    """The state between commands: definitions and instances by name; ``""`` is the latest."""

    text: str
    hook: Hook
    sink: Sink
    engine: wasmtime.Engine = field(default_factory=wt.new_engine)
    components: dict[str, wc.Component] = field(default_factory=dict)
    instances: dict[str, wt.Live | None] = field(default_factory=dict)

    # -- definitions and instances

    def compile(self, form: Form) -> wc.Component:
        data = assemble(form, self.text)
        wc.Component(self.engine, data)
        if self.hook.transform is not None:
            try:
                data = self.hook.transform(data)
            except Exception as error:  # whatever it is, it is the finding
                raise Failed(f"transform: {type(error).__name__}: {error}") from error
            try:
                return wc.Component(self.engine, data)
            except wasmtime.WasmtimeError as error:
                raise Failed(f"transformed component is invalid: {error}") from error
        return wc.Component(self.engine, data)

    def instantiate(self, component: wc.Component) -> wt.Live:
        return wt.instantiate(new_linker(self.engine, self.sink), component, self.sink.wasi())

    def define(self, command: Command) -> Outcome:
        """``(component …)`` and ``(component definition …)``."""
        form, name, stage = command.form, component_id(command.form), "text"
        runs = Atom("definition") not in form.items[1:2]
        if runs:
            self.instances[""] = self.instances[name] = None
        try:
            assemble(form, self.text)
            stage = "assembled"
            component = self.compile(form)
            self.components[""] = self.components[name] = component
            stage = "valid"
            if runs:
                self.instances[""] = self.instances[name] = self.instantiate(component)
                stage = "instantiated"
        except Failed as failed:
            return Outcome(command.line, DEFINITION, FAILED, str(failed), stage)
        except wasmtime.WasmtimeError as error:
            status = FAILED if stage in ("text", "assembled") else NOT_RUN
            return Outcome(command.line, DEFINITION, status, cause(error), stage)
        return Outcome(command.line, DEFINITION, PASSED, "", stage)

    def new_instance(self, form: Form) -> None:
        """``(component instance $i $Definition)``."""
        names = [item.text for item in form.items[2:] if isinstance(item, Atom)]
        name = names[0] if names else ""
        component = self.components.get(names[1] if len(names) > 1 else "")
        self.instances[""] = self.instances[name] = None
        if component is None:
            raise NotRun("no such component")
        self.instances[""] = self.instances[name] = self.instantiate(component)

    # -- actions and assertions

    def invoke(self, node: Node) -> Plain | None:
        if not isinstance(node, Form) or node.head != "invoke":
            raise NotRun("an action that is not an invoke")
        items = list(node.items[1:])
        first = items[0]
        name = items.pop(0).text if isinstance(first, Atom) else ""  # type: ignore[union-attr]
        live = self.instances.get(name)
        func = items[0]
        if live is None or not isinstance(func, Str):
            raise NotRun("no such instance")
        try:
            args = [from_form(item) for item in items[1:]]
            return wt.call(live, func.data.decode(), args)
        except UnknownValue as error:
            raise NotRun(str(error)) from error
        except KeyError as error:
            raise NotRun(f"no exported function {error}") from error

    def act(self, form: Form) -> None:
        """A bare ``(invoke …)``: passes where it does not trap."""
        self.invoke(form)

    def assert_return(self, form: Form) -> None:
        try:
            expected = tuple(from_form(item) for item in form.items[2:])
        except UnknownValue as error:
            raise NotRun(str(error)) from error
        try:
            got = self.invoke(form.items[1])
        except wasmtime.WasmtimeError as error:
            raise Failed(f"trapped: {cause(error)}") from error
        if (got,) != (expected or (None,)):
            raise Failed(f"returned {got}, not {expected}")

    def assert_fault(self, form: Form) -> str:
        """``assert_trap`` and ``assert_unlinkable``, of an action or of an instantiation.

        Returns the reason of the fault.
        """
        subject, wanted = form.items[1], form.items[2]
        try:
            if isinstance(subject, Form) and subject.head == "component":
                self.start(subject)
            else:
                self.invoke(subject)
        except wasmtime.WasmtimeError as error:
            message = wanted.data.decode() if isinstance(wanted, Str) else ""
            if message not in str(error):
                raise Failed(f"wrong fault: {cause(error)} (expected {message!r})") from error
            return cause(error)
        raise Failed("no fault")

    def start(self, form: Form) -> None:
        if Atom("instance") in form.items[1:2]:
            self.new_instance(form)
            return
        try:
            component = self.compile(form)
        except wasmtime.WasmtimeError as error:
            raise NotRun(f"not valid here: {cause(error)}") from error
        self.instantiate(component)

    def assert_refused(self, form: Form) -> None:
        """``assert_invalid`` and ``assert_malformed``."""
        subject = form.items[1]
        if not isinstance(subject, Form) or subject.head != "component":
            raise NotRun("not a component")
        try:
            wc.Component(self.engine, assemble(subject, self.text))
        except wasmtime.WasmtimeError:
            return
        raise Failed("accepted")

    def run(self, command: Command) -> Outcome:
        form = command.form
        is_instance = Atom("instance") in form.items[1:2]
        if form.head == "component" and not is_instance:
            return self.define(command)
        actions: dict[str, Callable[[Form], str | None]] = {
            "component": self.new_instance,
            "invoke": self.act,
            "assert_return": self.assert_return,
            "assert_trap": self.assert_fault,
            "assert_unlinkable": self.assert_fault,
            "assert_invalid": self.assert_refused,
            "assert_malformed": self.assert_refused,
        }
        action = actions.get(form.head)
        status, detail = PASSED, ""
        if action is None:
            return Outcome(command.line, ASSERTION, NOT_RUN, f"({form.head} …)")
        try:
            detail = action(form) or ""
        except NotRun as error:
            status, detail = NOT_RUN, str(error)
        except (Failed, wt.Stuck) as error:
            status, detail = FAILED, str(error)
        except wasmtime.WasmtimeError as error:
            status, detail = FAILED, cause(error)
        return Outcome(command.line, ASSERTION, status, detail)


def run_text(text: str, hook: Hook | None = None, sink: Sink | None = None) -> list[Outcome]:
    """Run a script; one outcome per command, in order.

    Raises ``tests.wast_driver.sexpr.SyntaxFault`` where the text is not s-expressions.
    """
    script = _Script(text, hook or Hook(), sink or Sink())
    return [script.run(command) for command in commands(text)]


def run_script(path: Path, hook: Hook | None = None, sink: Sink | None = None) -> list[Outcome]:
    """`run_text` of the file at ``path``.

    In a ``.wat`` file, which holds one component, the lines behind ``;;!`` are commands that come
    after it; line numbers of their outcomes count on from the component's end.
    """
    text = path.read_text("utf-8", "surrogateescape")
    if path.suffix == ".wat":
        lines = text.splitlines()
        text += "\n".join(line[3:] for line in lines if line.startswith(";;!"))
    return run_text(text, hook, sink)


def compare(original: Sequence[Outcome], woven: Sequence[Outcome]) -> list[str]:
    """How the woven run differs from the original one (reasons of traps included)."""
    return [
        f"line {before.line}: {_words(before)}; woven: {_words(after)}"
        for before, after in zip(original, woven, strict=True)
        if before != after
    ]


def _words(outcome: Outcome) -> str:
    return " ".join(part for part in (outcome.status, outcome.stage, outcome.detail) if part)
