"""`s2v completion bash|zsh`: a shell script that completes commands, options and their choices, made from argparse.

The script asks nothing of Python when Tab is pressed. What is no command, option or choice is a file's name, which
the shell completes itself, with its own quoting.
"""

import argparse
import shlex

SHELLS = ("bash", "zsh")
TRAINING_OPTIONS = ("--config", "--ckpt_path", "--run_dir", "--print_config", "--help")
"""Of fit, validate, test and predict; the rest of theirs depends on the configs' classes."""
FIT_VALUES = {"--test_after_fit": "best last"}

_SCRIPT = """\
# {shell} completion of s2v. To have it in this shell:  eval "$(s2v completion {shell})"
{prelude}_s2v() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" words=""
    local command="${{COMP_WORDS[1]}}" option=""
    COMPREPLY=()
    # bash makes three words of --option=value; zsh, and a bash that is told to, leave it one
    if [[ "$current" == --*=* ]]; then
        previous="${{current%%=*}}"; option="$previous="; current="${{current#*=}}"
    elif [ "$current" = "=" ]; then current=""; previous="${{COMP_WORDS[COMP_CWORD-1]}}"
    elif [ "$previous" = "=" ]; then previous="${{COMP_WORDS[COMP_CWORD-2]}}"; fi
    if [ "$COMP_CWORD" -eq 1 ]; then
        words={commands}
    else
        case "$command" in
{groups}
        esac
        case "$command $previous" in
{values}
            *)
                case "$current" in
                    -*)
                        case "$command" in
{options}
                        esac
                        ;;
                    *)
                        case "$command" in
{positionals}
                        esac
                        ;;
                esac
                ;;
        esac
    fi
    if [ -n "$words" ]; then COMPREPLY=($(compgen -P "$option" -W "$words" -- "$current")); fi
}}
{registration}"""

_BASH_REGISTRATION = "complete -o default -F _s2v s2v\n"

_ZSH_PRELUDE = """\
(( $+functions[compdef] )) || { autoload -U +X compinit && compinit; }
autoload -U +X bashcompinit && bashcompinit
"""
"""compinit, unless the shell has run it: a second time takes a while, and forgets what was added since."""

_ZSH_REGISTRATION = """\
_s2v_or_files() {
    _bash_complete -F _s2v && return
    if [[ $PREFIX == --*=* ]]; then compset -P 1 '*='; fi
    _files
}
compdef _s2v_or_files s2v
"""
"""Files by zsh itself: with bash's -o default it would complete none after --option=."""


def add_completion_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the argument of `s2v completion` to `parser`."""
    parser.add_argument("shell", choices=SHELLS, help="whose script to print")


def run_completion(args: argparse.Namespace) -> None:
    """Print the script."""
    from s2v.cli import COMMANDS, TRAINING, parser_of

    print(completion_script(args.shell, {name: parser_of(name) for name in COMMANDS}, list(TRAINING)), end="")


def completion_script(shell: str, parsers: dict[str, argparse.ArgumentParser], training: list[str]) -> str:
    """The script's text.

    Args:
        shell: bash, or zsh, which runs the same through its bashcompinit.
        parsers: each command's, by its name of one word or two.
        training: commands whose options are TRAINING_OPTIONS.
    """
    names = [*training, *parsers]
    groups: dict[str, list[str]] = {}
    for name in parsers:
        if " " in name:
            group, member = name.split()
            groups.setdefault(group, []).append(member)
    options = {name: " ".join(TRAINING_OPTIONS) for name in training}
    options["fit"] = " ".join([*TRAINING_OPTIONS, *FIT_VALUES])
    values = {f"fit {flag}": words for flag, words in FIT_VALUES.items()}
    positionals: dict[str, str] = {}
    for name, parser in parsers.items():
        options[name] = " ".join(flag for action in parser._actions for flag in _flags(action))
        for action in parser._actions:
            choices = " ".join(map(str, action.choices or []))
            if not action.option_strings:
                positionals[name] = choices
            elif action.nargs != 0:
                values |= {f"{name} {flag}": choices for flag in _flags(action)}
    first = dict.fromkeys([name.split()[0] for name in names])
    return _SCRIPT.format(
        shell=shell,
        prelude=_ZSH_PRELUDE if shell == "zsh" else "",
        registration=_ZSH_REGISTRATION if shell == "zsh" else _BASH_REGISTRATION,
        commands=shlex.quote(" ".join([*first, "--help", "--version"])),
        groups="\n".join(_group_case(group, members) for group, members in groups.items()),
        values=_cases(values, 12),
        options=_cases(options, 28),
        positionals=_cases({name: words for name, words in positionals.items() if words}, 28),
    )


def _flags(action: argparse.Action) -> list[str]:
    return [flag for flag in action.option_strings if flag.startswith("--")]


def _group_case(group: str, members: list[str]) -> str:
    words = shlex.quote(" ".join(members))
    return (
        f'            {shlex.quote(group)}) if [ "$COMP_CWORD" -eq 2 ]; then words={words}; command=""; '
        'else command="$command ${COMP_WORDS[2]}"; fi ;;'
    )


def _cases(words: dict[str, str], indent: int) -> str:
    """Patterns of a shell's `case`, those with the same words together; no words: the shell completes files."""
    together: dict[str, list[str]] = {}
    for pattern, text in words.items():
        together.setdefault(text, []).append(shlex.quote(pattern))
    return "\n".join(
        f"{' ' * indent}{'|'.join(patterns)}) words={shlex.quote(text)} ;;"
        for text, patterns in together.items()
    )
