"""A script's probes around the call of a wrapped function.

A call that is recorded anyway is recorded first, as the caller made it.  Then ``before`` probes
run, then the call (or what an ``alt`` probe puts in its place), the return
record of a traced call, and the ``after`` probes.  A probe whose predicate is false costs what the
predicate costs: call numbers, clocks, strings and records are only had where they are asked for.

Parameters that lie in guest memory are read when the script asks for them: in ``after`` probes of
an export the callee may have reused that memory.  What an async import returns at once is seen
here; ``over.py`` has what comes later, and what exports hand over in the course of their tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from whamm_cm.abi.layout import layouts
from whamm_cm.analysis.site import Encoding
from whamm_cm.emit import constants
from whamm_cm.emit.copies import is_over
from whamm_cm.emit.given import drop_all
from whamm_cm.emit.intervene import Interventions, check_alt
from whamm_cm.emit.model import EventMode, EventProbe
from whamm_cm.emit.paths import Part, has_trace, mentions, normal_probes, traces
from whamm_cm.emit.sampling import where_recorded
from whamm_cm.emit.script.body import Body as Compiler
from whamm_cm.emit.script.env import Pool
from whamm_cm.emit.script_env import ProbeEnv
from whamm_cm.emit.tasks import LATE
from whamm_cm.emit.texts import Texts
from whamm_cm.emit.wit_values import Binding, Flat, Image, Place, Values, parameters
from whamm_cm.emit.wrapper import Body
from whamm_cm.errors import InternalError, WeaveError
from whamm_cm.lang import tree
from whamm_cm.wasm.asm import Func, Label
from whamm_cm.wit.types import ValType

#: Low bits of the i32 an async lower returns, and the state that says the result is there.
_STATE_MASK, _RETURNED = 0xF, 2


def _refusal(probe: EventProbe, why: str) -> WeaveError:
    return WeaveError(f"{probe.title}: {why}" if probe.title else why)


class Events:
    """The probes of one wrapper; ``body`` writes everything else of it."""

    def __init__(self, body: Body, target: int) -> None:
        self.body, self.f, self.w, self.target = body, body.f, body.w, target
        self.guest = body.guest
        self.layouts = layouts(self.w.ptr)
        results = self.w.signature.results
        self.value = self.f.local(results[0]) if results else None
        self.bindings: dict[str, Binding] = parameters(self.w, self.layouts)
        self.values = Values(
            body.guest, self.layouts, self.texts, self.evaluate, self.bindings, self.whole
        )
        self.interventions = Interventions(self)
        self.mode: EventMode = "before"
        self.probes = normal_probes(self.w)
        self.traced = self.f.local("i32") if traces(self.w) else None
        self._pool = Pool(self.f)
        self._compiler: Compiler | None = None
        self._elapsed: int | None = None
        self._task: int | None = None
        self._called: int | None = None
        self._answered: Label | None = None

    # --- bound variables -------------------------------------------------------------------------

    def _result(self) -> Binding | None:
        """Where the result is once the call has returned."""
        w, t = self.w, self.w.result
        if t is None:
            return None
        sig = w.signature
        last = len(sig.params) - 1
        if w.kind == "lower" and w.is_async:
            place: Place = Image(last, 0)
        elif sig.results_spilled:
            place = Image(last if w.kind == "lower" else self._pushed(), 0)
        else:
            place = Flat(() if self.value is None else ((self.value, sig.results[0]),))
        secret = w.redact is not None and w.redact.hides_result
        return Binding(t, place, self.layouts.info(t).size, secret=secret)

    def _pushed(self) -> int:
        assert self.value is not None, "an export with a result in memory returns its address"
        return self.value

    @property
    def encoding(self) -> Encoding:
        return self.w.encoding

    def texts(self) -> Texts:
        return self.body.probe.texts(self.values.memory, self.encoding)

    def whole(self, f: Func, t: ValType, place: Place, hidden: bool) -> None:
        """Push the text of a value."""
        from whamm_cm.emit.wit_texts import How

        reps = self.w.resources if self.w.kind == "lift" else frozenset()
        made = self.body.probe.whole(self.guest, self.encoding, self.w.ptr)
        made.push(f, t, place, How(hidden, reps))

    @property
    def clock(self) -> int:
        clock = self.body.probe.clock
        assert clock is not None, "imported where a probe uses it"
        return clock

    @property
    def realloc(self) -> int | None:
        return self.body.realloc

    @property
    def task_return(self) -> int:
        assert self.body.answer is not None, "imported where a probe uses it"
        return self.body.answer

    # --- the order of things ---------------------------------------------------------------------

    def write(self) -> None:
        """All of it, the call included; the wrapper's result is then on the stack."""
        w, f = self.w, self.f
        self._start_clock()
        self._run("before")
        self._call()
        if w.role in LATE:
            self._others()
        elif w.action == "record":
            self._return()
        else:
            if self.traced is not None:
                f.get(self.traced)
                with f.if_():
                    self.body.write_return(self.value)
            if self.body.tasks is not None and w.due_at:
                self.body.tasks.await_(self._pushed(), self.traced)
        if w.role != "copy":
            self._after()
        elif self.body.tasks is not None and self.body.over is not None:
            with is_over(f, self.w, self._pushed()):
                self.body.over(self.body, "after", None, self._pushed())
        if self.value is not None:
            f.get(self.value)

    def _return(self) -> None:
        """The record of it; what is due later is so for the probes in any case."""
        body, sampled = self.body, self.body.sampled
        with where_recorded(sampled):
            body.write_return(self.value)
            if sampled is not None and body.tasks is not None and self.w.due_at:
                self.f.else_()
                body.tasks.await_(self._pushed(), sampled.recorded())

    def _others(self) -> None:
        """Probes of the call that the task began with."""
        tasks, over = self.body.tasks, self.body.over
        assert tasks is not None and over is not None, "it has a part in tasks"
        if self.w.role == "callback":
            return  # it is over when that says so
        self.f.get(tasks.entry)
        with self.f.if_():
            over(self.body, "after" if self.w.role == "return" else "cancel", tasks.entry)

    def _run(self, mode: EventMode) -> None:
        self.mode = mode
        for probe in self.probes:
            if probe.mode == mode:
                self._fire(probe)

    def _fire(self, probe: EventProbe) -> None:
        try:
            script = self.body.probe.script
            assert script is not None, "there is a probe"
            env = ProbeEnv(script, self, probe)
            self._compiler = Compiler(self.f, env, self._pool)
            if probe.predicate is None:
                self._prepare(probe.body)
                self._compiler.block(probe.body)
            else:
                self._prepare(probe.predicate)
                self._compiler.expr(probe.predicate)
                with self.f.if_():
                    self._prepare(probe.body)
                    self._compiler.block(probe.body)
            self._compiler.close()
        except WeaveError as e:
            raise _refusal(probe, str(e)) from e

    def evaluate(self, f: Func, expr: tree.Expr) -> None:
        """Push a script expression that a path or an act contains."""
        assert self._compiler is not None and f is self.f, "asked for from inside a probe"
        self._compiler.expr(expr)

    def _prepare(self, part: Part) -> None:
        """Have what the script computes with numbered before it runs."""
        if mentions(part, "call_id"):
            self.body.number_call()
        if mentions(part, "elapsed") and self.mode != "after":
            raise WeaveError("elapsed is known after the call only")
        if mentions(part, "task") and self.body.tasks is None:
            self._alone()

    def _alone(self) -> None:
        """Where the agent knows no tasks: the number of the call, if the unit knows that."""
        if self._task is None:
            self._task = self.f.local("i32")
        script = self.body.probe.script
        assert script is not None, "there is a probe"
        if self.body.options.alone:
            self.f.call(script.functions["task_now"])
            self.f.set(self._task)

    def bound(self, name: str) -> tuple[int, ...]:
        """The locals of a computed variable."""
        if name == "call_id":
            return (self.body.call,)
        if name == "elapsed" and self._elapsed is not None:
            return (self._elapsed,)
        if name == "task" and self.body.tasks is not None:
            return (self.body.tasks.number,)
        if name == "task" and self._task is not None:
            return (self._task,)
        raise InternalError(f"'{name}' is not bound here")

    # --- the call --------------------------------------------------------------------------------

    def _call(self) -> None:
        found = [probe for probe in self.probes if probe.mode == "alt"]
        if not found:
            self._pass_on()
            return
        if len(found) > 1:
            raise _refusal(found[1], "two alt probes at one function")
        [probe] = found
        try:
            check_alt(self.w, probe.body)
        except WeaveError as e:
            raise _refusal(probe, str(e)) from e
        self._called = self.f.local("i32")
        if not self.w.is_async:
            self._bind_result(self._called)
        with self.f.block() as answered:
            self._answered = answered
            self._run("alt")
            self._proceed()

    def _pass_on(self) -> None:
        self.body.call_on(self.target)
        if self.value is not None:
            self.f.set(self.value)

    def _proceed(self) -> None:
        """Call on, but never twice."""
        f = self.f
        assert self._called is not None, "only alt probes proceed"
        f.get(self._called)
        f.op("i32.eqz")
        with f.if_():
            f.i32(1)
            f.set(self._called)
            self._pass_on()

    def _bind_result(self, guard: int | None) -> None:
        result = self._result()
        if result is not None:
            self.bindings["result"] = replace(result, guard=guard)

    # --- after -----------------------------------------------------------------------------------

    def _start_clock(self) -> None:
        if self.w.role in LATE:
            return
        over = [p for p in self.probes if p.mode in ("after", "cancel")]
        elapsed = any(mentions((p.predicate, p.body), "elapsed") for p in over)
        if elapsed:
            self._elapsed = self.f.local("i64")
        if elapsed or (self.body.timed and any(map(has_trace, over))):
            self.body.entered_at = self.f.local("i64")
            self.f.call(self.clock)
            self.f.set(self.body.entered_at)

    def _after(self) -> None:
        w, f = self.w, self.f
        after = [p for p in self.probes if p.mode == "after"]
        if not after or w.role in LATE:
            return
        if w.kind == "lift" and w.is_async:
            raise _refusal(after[0], "an async export returns at its task.return, not here")
        self._bind_result(None)
        if w.kind == "lower" and w.is_async:
            f.get(self._pushed())
            f.i32(_STATE_MASK)
            f.op("i32.and")
            f.i32(_RETURNED)
            f.op("i32.eq")
            with f.if_():
                self._run_after()
        else:
            self._run_after()

    def _run_after(self) -> None:
        f = self.f
        if self._elapsed is not None and self.body.entered_at is not None:
            f.call(self.clock)
            f.get(self.body.entered_at)
            f.op("i64.sub")
            f.set(self._elapsed)
        self._run("after")

    # --- what the compiler hands back ------------------------------------------------------------

    def act(self, f: Func, stmt: tree.Stmt) -> None:
        """Act, Return and Trace."""
        match stmt:
            case tree.Trace():
                self._trace()
            case tree.Return(value=value):
                self._leave_alt("return", lambda: self.interventions.answer(f, value))
            case tree.Act(what="fail", args=(tree.Const(value=int(case)),)):
                value = constants.failure(self.w.result, case)
                self._leave_alt("fail", lambda: self.interventions.answer_with(f, value))
            case tree.Act(what="proceed"):
                if self.mode != "alt":
                    raise WeaveError("proceed() belongs into an alt probe")
                self._proceed()
            case tree.Act(what="delay", args=(ms,)):
                self.interventions.delay(f, ms)
            case tree.Act(what="assign", args=(tree.Scalar() as target, new)):
                self.interventions.assign(f, target, new)
            case _:
                raise InternalError(f"{type(stmt).__name__} at a WIT boundary")

    def _leave_alt(self, what: str, answer: Callable[[], None]) -> None:
        if self.mode != "alt" or self._answered is None:
            raise WeaveError(f"{what} belongs into an alt probe")
        self._drop_given()
        answer()
        self.f.br(self._answered)

    def _drop_given(self) -> None:
        """Before the answer, which may lie where the parameters did; the callee has dropped what it
        was given if it was called."""
        if not self.body.drops:
            return
        assert self._called is not None, "an alt probe answers"
        self.f.get(self._called)
        self.f.op("i32.eqz")
        with self.f.if_():
            drop_all(self.f, self.values, self.w, self.bindings, self.body.drops)

    def _trace(self) -> None:
        """Write the call record now; in ``after`` both, if the parameters are still to be had."""
        if self.w.action == "record":
            return
        f, body = self.f, self.body
        assert self.traced is not None, "there is a trace statement"
        f.get(self.traced)
        f.op("i32.eqz")
        with f.if_():
            f.i32(1)
            f.set(self.traced)
            if self.mode != "after":
                body.record_call()
                return
            if self._keeps_parameters():
                body.record_call(body.entered_at)
            else:
                body.number_call()
                self._before_late_return()
            body.write_return(self.value)

    def _before_late_return(self) -> None:
        """Get ready for the return record of a call that has none of its own: nothing is known of
        secrets in its parameters, nor of when it began where no clock was asked then."""
        f, body = self.f, self.body
        if body.secret is not None:
            f.i32(1)
            f.set(body.secret)
        if not body.timed:
            return
        if body.entered_at is not None:
            f.get(body.entered_at)
        else:
            assert body.probe.now is not None, "the module is timed"
            f.call(body.probe.now)
        f.set(body.began)

    def _keeps_parameters(self) -> bool:
        """An export's parameters in memory are the callee's, which may have given it up."""
        w = self.w
        in_memory = any(self.layouts.info(t).pointers for _, t in w.params)
        return w.kind != "lift" or not (w.signature.params_spilled or in_memory)
