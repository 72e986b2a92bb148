"""``whamm-cm completion SHELL``: a completion script made from the parser itself."""

from __future__ import annotations

import argparse

_BASH = """\
_whamm_cm() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} command= word words
  for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
    case $word in {names}) command=$word; break;; esac
  done
  case $command in
{cases}
    *) words="{top}";;
  esac
  if [[ $current == -* || -z $command ]]; then
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  else
    COMPREPLY=($(compgen -f -- "$current"))
  fi
}}
complete -o filenames -F _whamm_cm whamm-cm
"""


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "completion",
        help="print a shell completion script",
        description="Print a script that completes the commands and options of whamm-cm.",
        allow_abbrev=False,
    )
    parser.add_argument("shell", choices=("bash", "zsh", "fish"), help="the shell to print it for")
    parser.set_defaults(run=run, choices=commands.choices)


def run(args: argparse.Namespace) -> int:
    script = _fish if args.shell == "fish" else _bash
    text = script(args.choices)
    if args.shell == "zsh":
        text = "autoload -U +X bashcompinit && bashcompinit\n" + text
    print(text, end="")
    return 0


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Every option string, long and short, that the parser shows in its help."""
    return [
        option
        for action in parser._actions
        if action.help != argparse.SUPPRESS
        for option in action.option_strings
    ]


def _bash(choices: dict[str, argparse.ArgumentParser]) -> str:
    cases = "\n".join(
        f'    {name}) words="{" ".join(_options(parser))}";;' for name, parser in choices.items()
    )
    top = " ".join((*choices, "--help", "--version", "--quiet", "-v"))
    return _BASH.format(names="|".join(choices), cases=cases, top=top)


def _fish(choices: dict[str, argparse.ArgumentParser]) -> str:
    lines = []
    for name, parser in choices.items():
        lines.append(f"complete -c whamm-cm -n __fish_use_subcommand -f -a {name}")
        for option in _options(parser):
            kind = f"-l {option[2:]}" if option.startswith("--") else f"-s {option[1:]}"
            lines.append(f"complete -c whamm-cm -n '__fish_seen_subcommand_from {name}' {kind}")
    return "\n".join(lines) + "\n"
