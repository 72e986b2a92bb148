"""The state of checking one body: what names mean in it and which types its operands take."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import field, replace
from typing import Protocol

from whamm_cm.dataclass import dataclass
from whamm_cm.lang import parameters
from whamm_cm.lang import syntax as s
from whamm_cm.lang.events import BOUNDABLE, Event
from whamm_cm.lang.library import LibSignature
from whamm_cm.lang.source import ScriptError, Source, WrittenRule, suggest, together
from whamm_cm.lang.src_ends import end, ways
from whamm_cm.lang.src_places import Surroundings
from whamm_cm.lang.tree import (
    Const,
    Expr,
    Function,
    Kind,
    Scalar,
    Span,
    Src,
    Stmt,
    Text,
    Variable,
    WitSite,
)
from whamm_cm.lang.types import NUMBERS, a
from whamm_cm.lang.valtypes import F64, I32, I64, STR, U64, Type, WitT
from whamm_cm.lang.wit_values import is_plain, scalar_type, ways_on
from whamm_cm.wit.types import ValType


@dataclass(slots=True)
class Env:
    """What one script declares at its top."""

    source: Source
    globals: dict[str, Variable] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    libraries: dict[str, LibSignature] = field(default_factory=dict)
    known_libraries: Mapping[str, LibSignature] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)  # parameters by name or number
    timed: bool = False  # what is printed has a time
    warnings: dict[int, ScriptError] = field(default_factory=dict)  # by place: one each
    written: dict[Span, WrittenRule] = field(default_factory=dict)
    samples: dict[int, Function] = field(default_factory=dict)  # by place
    #: Variables of probes that have one for all places, by where they are declared.
    shared: dict[int, Variable] = field(default_factory=dict)
    #: Those of them that are reported, by name.
    shared_names: set[str] = field(default_factory=set)
    #: Variables of frames by name.
    frames: dict[str, Variable] = field(default_factory=dict)
    #: What keeps track of the functions under way, by the function that asks (``callstacks``).
    trees: Mapping[str, Env] = field(default_factory=dict)
    errors: list[ScriptError] = field(default_factory=list)
    #: Names of what is wrong itself: nothing more is said of them.
    spoiled: set[str] = field(default_factory=set)
    #: Told of each call of ``calls.CURSOR``, and of the body that it stands in.
    watch: Callable[[Body, s.Invoke], None] | None = None

    @contextmanager
    def going_on(self, name: str = "") -> Iterator[None]:
        """Keeps an error for the end; ``name``: what was to be declared."""
        try:
            yield
        except ScriptError as error:
            self.errors.append(error)
            self.spoiled.add(name)

    def warn(self, node: s.ExprSyntax, message: str, hint: str) -> None:
        self.warnings[node.at] = self.source.error(message, node.at, node.end, hint)


class Unknowable(Exception):
    """What this means depends on a function that is not there."""


class ExprRule(Protocol):
    def __call__(self, body: Body, syntax: s.ExprSyntax, want: Type | None) -> Expr: ...


class StmtRule(Protocol):
    def __call__(self, body: Body, syntax: s.StmtSyntax) -> tuple[Stmt, ...]: ...


@dataclass(frozen=True, slots=True)
class Site:
    """At a WIT boundary: the function, and what names a script may use for its values."""

    site: WitSite
    names: Mapping[str, Callable[[Span], Expr]]


@dataclass(slots=True)
class Body:
    """``kind``: ``probe``, ``function`` or ``global``; ``event`` is None outside opcode probes,
    ``wit`` set inside boundary probes.  ``bounds`` grows with the operands that are mentioned."""

    env: Env
    expr_rules: Mapping[type, ExprRule]
    stmt_rules: Mapping[type, StmtRule]
    kind: str
    event: Event | None = None
    mode: str = ""
    wit: Site | None = None
    many: bool = False  # the rule names its events by a glob
    result: Type | None = None
    bounds: dict[str, Type] = field(default_factory=dict)
    locals: dict[str, Variable] = field(default_factory=dict)
    declared: set[str] = field(default_factory=set)  # in the innermost block
    statement: s.ExprSyntax | None = None  # the call that is a statement of its own
    initialising: str = ""  # the cell whose initialiser is being checked
    loops: int = 0  # around the statement
    around: Surroundings | None = None  # of the place in the program's source, where it is known
    blank: bool = False  # at a boundary function of which nothing is known
    errors: list[ScriptError] = field(default_factory=list)
    spoiled: set[str] = field(default_factory=set)
    #: Variables that bodies of one probe share, by place and type, where it is checked for several
    #: types of its operands.
    shared: dict[tuple[Span, Type, Kind], Variable] | None = None

    # --- statements

    def each(self, nodes: Sequence[s.StmtSyntax]) -> list[Stmt]:
        """Statements one by one; what is wrong in one is kept for :meth:`finish`."""
        found: list[Stmt] = []
        for node in nodes:
            declared, initialising = self.declared, self.initialising
            try:
                found.extend(() if self._depends(node) else self.stmt_rules[type(node)](self, node))
            except (ScriptError, Unknowable) as error:
                self.declared, self.initialising = declared, initialising
                self._refused(node, error)
        return found

    def _depends(self, node: s.StmtSyntax) -> bool:
        """Whether a statement asks for the result type of a function of which nothing is known."""
        call = node.call if isinstance(node, s.Do) else None
        fails = isinstance(call, s.Invoke) and call.name == "fail"
        return self.blank and (fails or isinstance(node, s.Leave))

    def _refused(self, node: s.StmtSyntax, error: ScriptError | Unknowable) -> None:
        """Remember what is wrong, and look at what there is inside."""
        if isinstance(error, ScriptError):
            self.errors += error.each
        if isinstance(node, s.Decl):
            for one in error.each if isinstance(error, ScriptError) else ():
                one.about = "" if one.about == node.name else one.about  # it spoils itself
            self.spoiled.add(node.name)
        inner = {s.Branch: lambda n: [*(then for _, then in n.arms), n.otherwise],
                 s.Loop: lambda n: [n.body]}.get(type(node), lambda n: [])(node)  # fmt: skip
        self.loops += isinstance(node, s.Loop)
        for nodes in inner:
            outer, self.declared = self.declared, set()
            self.each(nodes)
            self.declared = outer
        self.loops -= isinstance(node, s.Loop)

    def finish(self) -> None:
        """Raises what is wrong.  Names are not known, either, that something wrong declares; that
        is said once."""
        spoiled = self.spoiled | self.env.spoiled
        errors = [error for error in self.errors if error.about not in spoiled - {""}]
        if errors:
            raise together(errors)

    # --- errors

    def error(self, node: s.ExprSyntax | s.StmtSyntax, message: str, hint: str = "") -> ScriptError:
        return self.env.source.error(message, node.at, node.end, hint)

    def span(self, node: s.ExprSyntax | s.StmtSyntax) -> Span:
        return Span(self.env.source.number, node.at, node.end)

    def place(self) -> str:
        """Where the body stands, for messages."""
        if self.blank:
            return "a probe at a WIT boundary"
        if self.wit is not None:
            return f"{self.wit.site.interface}#{self.wit.site.func}".lstrip("#")
        if self.event is None:
            return "this function" if self.kind == "function" else "the top of a script"
        words = ("wasm", self.event.package, self.event.name)
        return ":".join(word for word in words if word)

    # --- expressions

    def expr(self, node: s.ExprSyntax, want: Type | None = None) -> Expr:
        """Checked; ``want`` is what literals and operands of unknown type become."""
        return self.expr_rules[type(node)](self, node, want)

    def value(self, node: s.ExprSyntax, want: Type | None = None) -> Expr:
        """Like :meth:`expr`, and no longer a WIT value; where a text is wanted, its text."""
        return self.scalar(self.expr(node, want), node, want)

    def scalar(self, found: Expr, node: s.ExprSyntax, want: Type | None = None) -> Expr:
        if isinstance(found.type, WitT):
            if want == STR and not is_plain(found.type.type):
                return self.shown(found, node)
            return self._end(found, found.type.type, node)
        return self.ended(found, node, want) if isinstance(found, Src) else found

    @property
    def here(self) -> Surroundings:
        """Where there are values of the program's source."""
        assert self.around is not None
        return self.around

    def ended(
        self, found: Src, node: s.ExprSyntax, want: Type | None = None, shown: bool = False
    ) -> Expr:
        """A value of the program's source as a script's; ``shown``: as people want to see it."""
        ended = end(self.here, found, want, shown)
        if ended is None:
            raise self.error(node, f"this is {a(found.type)}, not yet a value", ways(found))
        return replace(ended, span=self.span(node))

    def shown(self, found: Expr, node: s.ExprSyntax) -> Expr:
        """A WIT value as it is shown: a number or string, or the text of anything else."""
        assert isinstance(found.type, WitT)
        if is_plain(found.type.type):
            return self.scalar(found, node)
        return Text(STR, found, self.span(node))

    def _end(self, found: Expr, wit: ValType, node: s.ExprSyntax) -> Expr:
        """A WIT value as a script's."""
        type_ = scalar_type(wit)
        if type_ is None:
            raise self.error(node, f"this is {a(found.type)}, not yet a value", ways_on(wit))
        return Scalar(type_, found, self.span(node))

    def typed(self, node: s.ExprSyntax, want: Type, what: str = "") -> Expr:
        """Checked and of that type; ``what`` needs it, for messages."""
        return self.fitting(self.value(node, want), node, want, what)

    def fitting(self, found: Expr, node: s.ExprSyntax, want: Type, what: str = "") -> Expr:
        """``found`` if it is of that type."""
        if found.type != want:
            if isinstance(node, s.Parameter) and node.name in self.env.given:
                given = parameters.said(self.env.given, node.name)
                raise self.error(node, f"{given} is {a(found.type)}, but {what or 'this'} is"
                                 f" {a(want)}")  # fmt: skip
            wanted = f"{what} is {a(want)}" if what else f"{a(want)} is wanted"
            raise self.error(node, f"this is {a(found.type)}, but {wanted}",
                             self._conversion(node, found.type, want))  # fmt: skip
        return found

    def _conversion(self, node: s.ExprSyntax, type_: Type, want: Type) -> str:
        """How to write ``node`` to have it as ``want``, if that is possible."""
        text = self.env.source.text[node.at : node.end]
        if type_ not in NUMBERS or len(text) >= 40:
            return ""
        if want == STR:
            return f"write str({text})"
        compound = isinstance(node, s.Infix | s.Prefix | s.Conditional)
        shown = f"({text})" if compound and not text.startswith("(") else text
        return f"write {shown} as {want}" if want in NUMBERS else ""

    def pair(self, left: s.ExprSyntax, right: s.ExprSyntax, want: Type | None) -> tuple[Expr, Expr]:
        """Two operands of one type: literals follow the other side, or ``want``."""
        if not self.flexible(left):
            first = self.value(left, want)
            return first, self.typed(right, first.type, "the other side")
        if not self.flexible(right):
            second = self.value(right, want)
            return self.typed(left, second.type, "the other side"), second
        type_ = want if want in NUMBERS else self.default((left, right))
        assert type_ is not None
        return self.typed(left, type_), self.typed(right, type_)

    def flexible(self, node: s.ExprSyntax) -> bool:
        """Whether the type of ``node`` comes from its context alone."""
        match self.literal(node):
            case s.Number():
                return True
            case s.Name(name):
                return self.is_untyped(name)
            case s.Prefix(op, operand):
                return op != "!" and self.flexible(operand)
            case s.Infix(op, left, right) if op in "+-*/%&|^" or op in ("<<", ">>"):
                return self.flexible(left) and self.flexible(right)
            case s.Conditional(_, then, otherwise):
                return self.flexible(then) and self.flexible(otherwise)
        return False

    def literal(self, node: s.ExprSyntax) -> s.ExprSyntax:
        """``node``, or the literal that a parameter or a constant without a type stands for."""
        if isinstance(node, s.Parameter):
            declared = self.env.globals.get(node.name)
            if declared is None:
                return parameters.literal(self.env.source, self.env.given, node)
            node = s.Name(node.name, node.at, node.end)
        found = self.variable(node.name) if isinstance(node, s.Name) else None
        if found is None or found.kind is not Kind.LITERAL:
            return node
        assert isinstance(found.meaning, Const) and isinstance(found.meaning.value, int | float)
        return s.Number(found.meaning.value, node.at, node.end)

    def string(self, node: s.String | s.Parameter) -> s.String:
        """The text that a literal is, or a parameter where a text is wanted."""
        if isinstance(node, s.String):
            return node
        found = self.expr(node, STR)
        if not isinstance(found, Const) or not isinstance(found.value, str):
            raise self.error(node, f"this is {a(found.type)}, but a text is wanted")
        return s.String(found.value, node.at, node.end)

    def variable(self, name: str) -> Variable | None:
        """What the script has declared by that name."""
        return self.locals.get(name) or self.env.globals.get(name)

    def is_untyped(self, name: str) -> bool:
        """Whether ``name`` is a bound variable whose type nobody said yet, or inf or nan."""
        if name in self.locals or name in self.env.globals or name in self.bounds:
            return False
        found = self.event.find(name) if self.event else None
        if found is not None:
            return found.type is None and not found.defined
        return name.lower() in ("inf", "infinity", "nan") and not (
            self.wit is not None and name in self.wit.names
        )

    def default(self, nodes: tuple[s.ExprSyntax, ...]) -> Type:
        """The type of literals that nothing else types; an operand asks for a bound."""
        largest, smallest, floats = 0, 0, False
        stack = list(nodes)
        while stack:
            node = self.literal(stack.pop())
            if isinstance(node, s.Number):
                floats |= isinstance(node.value, float)
                largest, smallest = max(largest, node.value), min(smallest, node.value)  # type: ignore[assignment]
            elif isinstance(node, s.Name):
                if self.event is not None and self.event.find(node.name):
                    raise self.needs_bound(node)
                floats = True
            elif isinstance(node, s.Prefix):
                stack.append(node.operand)
            elif isinstance(node, s.Infix):
                stack += (node.left, node.right)
            elif isinstance(node, s.Conditional):
                stack += (node.then, node.otherwise)
        if floats:
            return F64
        if smallest >= -(1 << 31) and largest < 1 << 31:
            return I32
        return I64 if largest < 1 << 63 else U64

    def needs_bound(self, node: s.Name) -> ScriptError:
        where = self.event.name if self.event and self.event.name else "wasm"
        error = self.error(node, f'nothing says what type "{node.name}" has',
                           f"bound it in the match rule: {where}({node.name}: i32)")  # fmt: skip
        error.untyped = node.name if BOUNDABLE.fullmatch(node.name) else ""
        return error

    # --- names

    def visible(self) -> list[str]:
        """Every name one could have meant."""
        found = [*self.locals, *self.env.globals, "true", "false"]
        if self.event is not None:
            found += (name for name in self.event.variables if not name.endswith("N"))
        if self.wit is not None:
            found += self.wit.names
        return found

    def unknown(self, node: s.Name) -> ScriptError:
        hint = suggest(node.name, self.visible())
        if not hint and self.many:
            hint = "the rule matches it too: name only events that bind it"
        error = self.error(node, f'"{node.name}" is not known in {self.place()}', hint)
        error.about = node.name
        return error

    def declare(self, node: s.Decl | s.Count | s.Each, name: str, type_: Type, kind: Kind,
                report: bool = False, meaning: Expr | None = None) -> Variable:  # fmt: skip
        """A new variable of the innermost block."""
        variable = Variable(name, type_, kind, report, self.env.source.number, self.span(node),
                            meaning=meaning)  # fmt: skip
        if self.shared is not None and kind is Kind.CELL:
            variable = self.shared.setdefault((variable.span, type_, kind), variable)
        if name in self.declared:
            raise self.error(node, f'"{name}" is declared twice', "rename one of the two")
        self.locals[name] = variable
        self.declared.add(name)
        return variable
