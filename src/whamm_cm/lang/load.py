"""Scripts as text to one checked program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from whamm_cm.lang import handles, parameters, sampling
from whamm_cm.lang import syntax as s
from whamm_cm.lang.body import Env
from whamm_cm.lang.builtins import WHAMM_CORE
from whamm_cm.lang.expand import Numbering, body_of, expand
from whamm_cm.lang.leaving import leaves
from whamm_cm.lang.library import LibSignature
from whamm_cm.lang.lifetimes import frame_variable, share_all
from whamm_cm.lang.parse import parse
from whamm_cm.lang.source import Source, suggest, together
from whamm_cm.lang.src_use import knowing_itself
from whamm_cm.lang.stmts import block, check_name, declared_type, meaning_of
from whamm_cm.lang.tree import (
    Const,
    Function,
    If,
    Kind,
    Probe,
    Return,
    Scripts,
    Span,
    Stmt,
    Variable,
    WitRule,
)
from whamm_cm.lang.types import a, resolve_type
from whamm_cm.lang.valtypes import UNIT, Prim, TupleT, Type


def load(
    sources: Sequence[tuple[str, str]],
    libraries: Mapping[str, LibSignature] | None = None,
    given: Mapping[str, str] | None = None,
    timed: bool = False,
) -> Scripts:
    """Parse and check scripts, given as (name, text); ``libraries`` by the name ``use`` says;
    ``given``: parameters, as :func:`parameters.given` makes them; ``timed``: what is printed has a
    time.

    Raises ScriptError, a UsageError that points into the script, with all there is to say.
    """
    known = {WHAMM_CORE.name: WHAMM_CORE, **(libraries or {})}
    envs: list[Env] = []
    globals_: list[Stmt] = []
    functions: list[Function] = []
    probes: list[Probe] = []
    rules: list[WitRule] = []
    leaves = 0
    asked: set[str] = set()
    for number, (name, text) in enumerate(sources):
        source = Source(number, name, text)
        env = Env(source, known_libraries=known, given=given or {}, timed=timed)
        envs.append(env)
        script = s.Script(())
        with env.going_on():
            script = parse(env.source)
        if env.errors:
            continue
        asked |= parameters.named(script) if given else set()
        globals_ += declare_all(env, script, leaves)
        leaves += sum(_leaves(v.type) for v in env.globals.values() if v.kind is Kind.TASK)
        functions += (*env.functions.values(), *env.samples.values())
        check_functions(env, script)
        for found in _probes(env, script):
            (probes if isinstance(found, Probe) else rules).append(found)  # type: ignore[arg-type]
    errors = [error for env in envs for error in env.errors]
    if errors:
        raise together(errors)
    parameters.check_used(given or {}, asked)
    warnings = tuple(warning for env in envs for warning in env.warnings.values())
    used = dict.fromkeys(name for env in envs for name in env.libraries)
    names = tuple(name for name, _ in sources)
    written = {span: rule for env in envs for span, rule in env.written.items()}
    return Scripts(tuple(globals_), tuple(functions), tuple(probes), tuple(rules), tuple(used),
                   names, warnings, written)  # fmt: skip


# --- the top of a script -------------------------------------------------------------------------


def declare_all(env: Env, script: s.Script, leaves: int) -> tuple[Stmt, ...]:
    """Fills ``env``; the statements at the top, checked in order."""
    body = body_of(env, "global")
    top: list[s.StmtSyntax] = []
    for item in script.items:
        if isinstance(item, s.Use):
            with env.going_on(item.name):
                _use(env, item)
        elif isinstance(item, s.Fn):
            with env.going_on(item.name):
                check_name(body, item)
                _signature(env, item)
        elif isinstance(item, s.Decl):
            with env.going_on(item.name):
                _global(env, item, leaves)
                leaves += _leaves(env.globals[item.name].type) if item.task else 0
                top.append(item)
        elif not isinstance(item, s.ProbeSyntax):
            top.append(item)
    found = block(body, tuple(top))
    env.spoiled |= body.spoiled - env.globals.keys()
    with env.going_on():
        body.finish()
    shared = share_all(env, body_of(env, "global"), script)
    return (*found, *shared, *sampling.declare(env, script))


def _use(env: Env, item: s.Use) -> None:
    found = env.known_libraries.get(item.name)
    if found is None:
        hint = suggest(item.name, env.known_libraries) or f"pass --lib {item.name}=path.wasm"
        raise env.source.error(f'library "{item.name}" is not given', item.at, item.end, hint)
    if item.name in env.libraries:
        raise env.source.error(f'library "{item.name}" is used twice', item.at, item.end,
                               "leave one of the two out")  # fmt: skip
    env.libraries[item.name] = found


def _leaves(type_: Type) -> int:
    return sum(map(_leaves, type_.items)) if isinstance(type_, TupleT) else 1


def _global(env: Env, item: s.Decl, leaves: int) -> None:
    """``leaves``: of variables of tasks that are declared before."""
    if item.name in env.globals:
        raise env.source.error(f'"{item.name}" is declared twice', item.at, item.end,
                               "rename one of the two")  # fmt: skip
    span = Span(env.source.number, item.at, item.end)
    top = body_of(env, "global")
    if item.const:
        check_name(top, item)
        meant, meaning = meaning_of(top, item)
        if item.param:
            meaning = _parameter(env, item, meaning, meant is Kind.LITERAL)
        env.globals[item.name] = Variable(item.name, meaning.type, meant, False, env.source.number,
                                          span, meaning=meaning)  # fmt: skip
        return
    if item.lives == "frame" and not item.task:
        check_name(top, item)
        env.globals[item.name] = frame_variable(top, item)
        return
    type_ = declared_type(top, item)
    kind, leaf = (Kind.TASK, leaves) if item.task else (Kind.GLOBAL, 0)
    env.globals[item.name] = Variable(item.name, type_, kind, item.report, env.source.number, span,
                                      leaf)  # fmt: skip


def _parameter(env: Env, item: s.Decl, default: Const, is_literal: bool) -> Const:
    """What ``param`` names: its default, or what is given in its place."""
    if not isinstance(default.type, Prim):
        raise env.source.error("a parameter is a number, a bool or a str", item.at, item.end)
    if item.name not in env.given:
        return default
    return parameters.overridden(env.source, env.given, item, default, is_literal)


def _signature(env: Env, item: s.Fn) -> None:
    if item.name in env.functions:
        raise env.source.error(f'function "{item.name}" is declared twice', item.at, item.end)
    params = tuple(
        Variable(param.name, resolve_type(env.source, param.type), Kind.LOCAL, False,
                 env.source.number, Span(env.source.number, param.at, param.end))
        for param in item.params
    )  # fmt: skip
    result = UNIT if item.result is None else resolve_type(env.source, item.result)
    span = Span(env.source.number, item.at, item.end)
    env.functions[item.name] = Function(item.name, params, result, (), span)


# --- functions -----------------------------------------------------------------------------------


def check_functions(env: Env, script: s.Script) -> None:
    for item in script.items:
        if isinstance(item, s.Fn) and item.name in env.functions:
            with env.going_on():
                _check_function(env, item, env.functions[item.name])


def _check_function(env: Env, item: s.Fn, function: Function) -> None:
    if function.span.start != item.at:
        return  # the second of that name, which has been said
    body = body_of(env, "function", result=function.result)
    for param, variable in zip(item.params, function.params, strict=True):
        check_name(body, param)
        if variable.name in body.locals:
            raise env.source.error(f'"{param.name}" is declared twice', param.at, param.end)
        body.locals[variable.name] = variable
    function.body = block(body, item.body)
    body.finish()
    if body.errors:
        return
    if function.result != UNIT and not _returns(function.body):
        raise env.source.error(f'"{item.name}" can end without returning {a(function.result)}',
                               item.at, item.end, "end it with return")  # fmt: skip


def _returns(statements: tuple[Stmt, ...]) -> bool:
    """Whether no way leads past the last statement."""
    for statement in statements:
        if isinstance(statement, Return) or leaves(statement):
            return True
        if isinstance(statement, If) and _returns(statement.then) and _returns(statement.otherwise):
            return True
    return False


# --- probes --------------------------------------------------------------------------------------


def _probes(env: Env, script: s.Script) -> list[Probe | WitRule]:
    numbering = Numbering()
    found: list[Probe | WitRule] = []
    for item in script.items:
        if isinstance(item, s.ProbeSyntax):
            with env.going_on():
                found.extend(expand(env, item, numbering))
    found.extend(handles.rules(env))
    if not found and not env.errors:
        end = len(env.source.text)
        raise env.source.error("the script has no probe", end, hint="add one, for instance"
                               " wasm:opcode:call:before { }")  # fmt: skip
    later: dict[tuple[Span, str, str], int] = {}  # choices of types have one number
    for position, probe in enumerate(found):
        if probe.number < 0:
            key = probe.span, probe.rule, probe.mode
            number = later.setdefault(key, numbering.known + len(later))
            found[position] = replace(probe, number=number)
    return [knowing_itself(env, p) if isinstance(p, Probe) else p for p in found]
