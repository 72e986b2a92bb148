"""What of a component's imports a policy answers, or shows in part, before a guard is woven in."""

from __future__ import annotations

from whamm_cm.component.decode import decode
from whamm_cm.component.encode import encode
from whamm_cm.component.ir import Component
from whamm_cm.dataclass import dataclass
from whamm_cm.emit.answers.model import Keys
from whamm_cm.errors import InternalError, UsageError, WeaveError
from whamm_cm.gate.guard import Mode
from whamm_cm.gate.permissions import KeyLine, Section
from whamm_cm.gate.policy import Policy
from whamm_cm.gate.virtual import Virtual
from whamm_cm.weave.answers.api import answered
from whamm_cm.weave.answers.wishes import Wishes


@dataclass(frozen=True, slots=True)
class Prepared:
    """``data``: the component that is guarded, in which ``main`` is what was given; ``answered``:
    the functions whose answers are not the host's as they are, and what becomes of them."""

    data: bytes
    root: Component
    main: Component
    answered: tuple[tuple[str, str], ...] = ()

    def changed(self, root: Component, name: str) -> Prepared:
        """With another root, in which ``main`` is where it was."""
        made = encode(root)
        _check(root, name)
        found = decode(made, name)
        return Prepared(made, found, _main(found) if self.answered else found, self.answered)


def prepared(data: bytes, name: str, policy: Policy, mode: Mode) -> Prepared:
    """``data`` itself where nothing is answered, or only told of.

    Raises DecodeError for what is no component, WeaveError for one that cannot be answered.
    """
    original = decode(data, name)
    if mode == "warn":
        return Prepared(data, original, original)
    try:
        found = answered(original, _wishes(policy))
    except WeaveError as error:
        raise WeaveError(f"{name} cannot be guarded: {error}") from error
    if not found.functions:
        return Prepared(data, original, original)
    made = encode(found.root)
    _check(found.root, name)
    root = decode(made, name)
    titles = tuple(
        (f"{interface}{f'@{version}' if version else ''}#{func}",
         "shows what is allowed" if partly else "is answered by the policy")
        for interface, version, func, partly in found.functions
    )  # fmt: skip
    return Prepared(made, root, _main(root), titles)


def _main(root: Component) -> Component:
    return [d.node for d in root.definitions if isinstance(d.node, Component)][-1]


def _check(root: Component, name: str) -> None:
    from whamm_cm.run.engine import is_lack, validate_component
    from whamm_cm.weave.verify import skeleton

    fault = validate_component(skeleton(root))
    if fault is not None and not is_lack(fault):
        raise InternalError(f"{name} with its answers is not valid: {fault}; please report this")


def _wishes(policy: Policy) -> Wishes:
    section, given = policy.permissions.environment, policy.virtual or Virtual()
    clocks = given.clocks
    return Wishes(
        environment=given.environment,
        arguments=given.arguments,
        directory=given.directory,
        config=given.config,
        start=None if clocks is None else clocks.start,
        step=0 if clocks is None else clocks.step,
        seed=given.random,
        keys=None if section is None else _keys(section),
        no_files=given.files is not None,
    )


def _keys(section: Section[KeyLine]) -> Keys:
    for line in section.deny:
        if not line.key.isascii():
            raise UsageError(
                f"{line.location}: enforce denies keys of ASCII only, as it cannot tell others in"
                " another case; name what is allowed instead"
            )
    allow = None if section.allow is None else tuple(line.key for line in section.allow)
    return Keys(allow, tuple((line.key, line.replace) for line in section.deny))
