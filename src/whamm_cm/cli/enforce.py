"""``whamm-cm enforce``: write a component that is held to a policy wherever it runs."""

from __future__ import annotations

import argparse

from whamm_cm.cli import weaving
from whamm_cm.cli.common import INPUT, display, progress, read_input, say, write_output
from whamm_cm.errors import UsageError
from whamm_cm.registry.names import is_target


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "enforce",
        help="hold a component to a policy, on any host",
        description="Write a copy of APP.wasm that is held to a policy: what it may not call never"
        " reaches the host, and is answered with an error of the function's own type, or a trap.",
        allow_abbrev=False,
    )
    parser.add_argument("app", metavar="APP.wasm", help=f"the component: {INPUT}")
    parser.add_argument(
        "--policy", metavar="FILE", required=True, help="the policy, a file or a profile"
    )
    parser.add_argument(
        "-o", "--output", metavar="OUT.wasm", help="where to write it; - for standard output"
    )
    parser.add_argument(
        "--mode", choices=("deny", "warn"), default="deny",
        help="deny, or only say what would be denied (default: deny)",
    )  # fmt: skip
    parser.add_argument(
        "--print-script", action="store_true",
        help="print the script that is woven, instead of a component",
    )  # fmt: skip
    parser.add_argument(
        "--sink", choices=("stderr", "logging", "host", "none"), default="stderr",
        help="where lines about what was denied go, as of instrument (default: stderr)",
    )  # fmt: skip
    parser.add_argument(
        "--key", metavar="FILE",
        help="sign what is written, for gate --trust: a private key in PEM (ed25519)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from whamm_cm.front.guarding import guard_of, guarded
    from whamm_cm.front.verdict import policy_of
    from whamm_cm.gate.guard_trust import signer

    if (args.output is None) != args.print_script:
        raise UsageError("name a file to write with -o, or see the script with --print-script")
    if args.key is not None and args.output is None:
        raise UsageError("--key signs a component; name a file to write with -o")
    policy = policy_of(args.policy)
    key = None if args.key is None else signer(args.key)
    if args.print_script:
        guard = guard_of(read_input(args.app), display(args.app), policy, args.mode)
        print(guard.text)
        return 0
    if is_target(args.output):
        raise UsageError(f"{args.output}: enforce writes files; push what it wrote as an image")
    weaving.check_output(args.output)
    data = read_input(args.app)
    with progress(args, f"weaving {display(args.app)}"):
        found = guarded(data, display(args.app), policy, args.mode, args.sink)
    write_output(args.output, found.signed(key))
    for title, how in found.guard.answered:
        say(args, f"{title}: {how}")
    for title, error in found.guard.denied:
        say(args, f"{title}: {found.guard.outcome(error)}")
    for title, error in found.guard.asked:
        say(args, f"{title}: what is denied {found.guard.outcome(error)}")
    return 0
