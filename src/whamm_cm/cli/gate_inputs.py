"""Inputs of ``whamm-cm gate`` beyond files: images, manifests, and keys."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from whamm_cm.cli.common import display, put_back, read_input, say
from whamm_cm.dataclass import dataclass
from whamm_cm.errors import InputError

if TYPE_CHECKING:
    from whamm_cm.gate.engine import Engine
    from whamm_cm.gate.evidence import Evidence
    from whamm_cm.gate.model import ComponentReport, Subject, Unjudged
    from whamm_cm.gate.policy import Budget
    from whamm_cm.gate.sources import Sources
    from whamm_cm.trace.calls import Site


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust", action="append", default=[], metavar="PUB.pem",
        help="a public key whose guards are believed (whamm-cm enforce --key); may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--manifest", action="append", default=[], metavar="FILE",
        help="a wasmCloud manifest that deploys the components; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--component", metavar="NAME",
        help="which component of the manifest the input is, as NAME or WORKLOAD/NAME",
    )  # fmt: skip
    parser.add_argument(
        "--wasmcloud", metavar="RELEASE",
        help="the release of the hosts that a manifest is for: 2.7, 2.8, 2.9 or 2.10 (default: the"
        " newest of these)",
    )  # fmt: skip
    add_skip(parser)


def add_skip(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--skip", action="append", default=[], metavar="GLOB",
        help="leave out what matches in directories, as seen from there; may be repeated",
    )  # fmt: skip


def found(args: argparse.Namespace, apps: Iterable[str]) -> list[str]:
    """What ``apps`` stand for without what is to be skipped, which is said; what a trace that was
    killed left woven is the original again.  Raises InputError."""
    from whamm_cm.gate.batch import find

    left_out: list[str] = []
    paths = find(apps, args.skip, left_out)
    if sum(map(put_back, paths)):
        paths = find(apps, args.skip, left_out := [])  # originals beside them are gone
    for path in left_out:
        say(args, f"{path}: left out (--skip)")
    return paths


def sources(args: argparse.Namespace) -> Sources:
    """The inputs, each once; images stand among them as they were named."""
    from whamm_cm.errors import UsageError, cut
    from whamm_cm.gate.sources import Sources
    from whamm_cm.gate.wasmcloud import NEWEST, RELEASES
    from whamm_cm.registry.names import is_image

    if args.component and not args.manifest:
        raise UsageError("--component names a component of a manifest; give --manifest, too")
    if args.wasmcloud is not None and not args.manifest:
        raise UsageError("--wasmcloud is for a manifest; give --manifest, too")
    release = NEWEST if args.wasmcloud is None else args.wasmcloud
    if release not in RELEASES:
        raise UsageError(
            f"--wasmcloud {cut(release)!r} is no release that is known; take the nearest of"
            f" {', '.join(RELEASES)}"
        )
    paths: list[str] = []
    for app in args.apps:
        named = is_image(app) and not os.path.isdir(app)
        paths += [app] if named else found(args, [app])
    given = Sources.of(list(dict.fromkeys(paths)), args.manifest, args.component, release)
    if args.manifest and args.wasmcloud is None:
        say(args, f"judged for hosts of wasmCloud {release}; --wasmcloud names another release")
    return given


def logs(texts: Sequence[str], paths: Sequence[str]) -> dict[int, list[str]]:
    """The logs of each input by its index.  A log of the only input needs no name; otherwise
    ``NAME=LOG``, with the input's path, or the end of it, with or without ``.wasm``."""
    from whamm_cm.errors import UsageError

    found: dict[int, list[str]] = {}
    for text in texts:
        name, equals, log = text.partition("=")
        if not equals or (len(paths) == 1 and os.path.exists(text)):
            name, log = "", text
        called = [index for index, path in enumerate(paths) if _is_called(path, name)]
        if len(paths) == 1 and not called:
            called, log = [0], text
        if len(called) != 1:
            several = f'{len(called)} inputs are called "{name}"' if called else ""
            nobody = f'no input is called "{name}"' if name else "which component is it of?"
            raise UsageError(f"--trace-log {text}: {several or nobody}; write NAME=LOG")
        found.setdefault(called[0], []).append(log)
    piped = [log for several in found.values() for log in several if log == "-"]
    if len(piped) + list(paths).count("-") > 1:
        raise UsageError("standard input can be one component or one log")
    return found


def _is_called(path: str, name: str) -> bool:
    whole = PurePath(path)
    return bool(name) and (name == path or PurePath(name) in (whole, *_ends(whole)))


def _ends(path: PurePath) -> Iterator[PurePath]:
    for count in range(1, len(path.parts) + 1):
        end = PurePath(*path.parts[-count:])
        yield end
        yield end.with_suffix("")


@dataclass(frozen=True, slots=True)
class Seen:
    """An input, analysed.  ``evidence`` None: it came without logs."""

    subject: Subject
    strangers: tuple[Site, ...] = ()
    evidence: Evidence | None = None
    readers: tuple[tuple[str, str], ...] = ()


def seen(
    args: argparse.Namespace, engine: Engine, data: bytes, what: str, given: Sequence[str]
) -> Seen:
    """One component with the logs of its runs, if any.  Raises InputError."""
    from whamm_cm.gate.subject import analyse

    said = evidence(args, given, engine.policy.budgets) if given else None
    found = analyse(data, what, said.observed if said else None)
    return Seen(found.subject, found.strangers, said)


def evidence(
    args: argparse.Namespace, given: Sequence[str], budgets: tuple[Budget, ...] = ()
) -> Evidence:
    """What logs of runs say.  They are vouched for where they are records alone: what a host wrote
    down of a guest's own output may be the guest's word.  Raises InputError."""
    from whamm_cm.cli.logs import read_logs
    from whamm_cm.gate.evidence import gather

    bare: list[bool] = []
    found = gather(
        read_logs(args, list(given), ended=lambda reader: bare.append(reader.bare)), budgets
    )
    return replace(found, vouched=all(bare))


def judged(
    args: argparse.Namespace,
    engine: Engine,
    given: Sources,
    observed: dict[int, list[str]],
    folder: Path | None,
    workers: int,
) -> Iterator[ComponentReport | Unjudged]:
    """In the order given, each as soon as it and all before it are known."""
    from whamm_cm.gate.engine import names
    from whamm_cm.gate.model import Unjudged

    known = names(given.paths)
    answers = _answers(args, engine, given, observed, folder, workers)
    if args.cross_check:
        answers = _cross_checked(answers, given)
    found: dict[int, Subject] = {}
    if given.together:
        kept = list(answers)
        found = {index: one.subject for index, one in kept if isinstance(one, Seen)}
        answers = iter(kept)
    for index, one in answers:
        path = given.paths[index]
        if isinstance(one, Seen):
            yield engine.judge(
                engine.context(
                    path, known[index], subject=one.subject, strangers=one.strangers,
                    evidence=one.evidence, readers=one.readers, **given.facts(index, found),
                )
            )  # fmt: skip
        else:
            yield Unjudged(path, str(one))


def _cross_checked(
    answers: Iterator[tuple[int, Seen | InputError]], given: Sources
) -> Iterator[tuple[int, Seen | InputError]]:
    """With what another reader reads otherwise."""
    from whamm_cm.gate.crosscheck import check, locate

    tool = locate()
    for index, one in answers:
        try:
            if isinstance(one, Seen):
                found = check(tool, one.subject, given.paths[index], given.read(index))
                one = replace(one, readers=found)  # noqa: PLW2901
        except InputError as error:
            one = error  # noqa: PLW2901
        yield index, one


def _answers(
    args: argparse.Namespace,
    engine: Engine,
    given: Sources,
    observed: dict[int, list[str]],
    folder: Path | None,
    workers: int,
) -> Iterator[tuple[int, Seen | InputError]]:
    """What has logs is analysed here, the rest in processes and by the cache."""
    from whamm_cm.gate.batch import Job, subjects

    jobs: dict[int, Job] = {}
    faults: dict[int, InputError] = {}
    for index, path in enumerate(given.paths):
        try:
            jobs[index] = Job(path, read_input(path) if path == "-" else given.read(index))
        except InputError as error:
            faults[index] = error
    rest = subjects([job for i, job in jobs.items() if i not in observed], folder, workers)
    with closing(rest):
        for index, path in enumerate(given.paths):
            if index in faults:
                yield index, faults[index]
            elif index in observed:
                try:
                    data = jobs[index].data
                    whole = read_input(path) if data is None else data
                    yield index, seen(args, engine, whole, display(path), observed[index])
                except InputError as error:
                    yield index, error
            else:
                answer = next(rest)
                yield index, answer if isinstance(answer, InputError) else Seen(answer)
