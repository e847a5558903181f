"""``moa-mcp completion``: prints the script with which a shell completes the command line.

The scripts ask the command that is on the line, so that each installation completes what it has itself. They use
click's protocol of an environment variable with the words so far.
"""

from __future__ import annotations

import os
from pathlib import Path

import click

from moa_mcp.cli.options import Refused

_BASH = r"""# Completion of moa-mcp for bash.
_moa_mcp_completion() {
    local IFS=$' \n' kind value words=() i
    for ((i = 0; i <= COMP_CWORD; i++)); do # bash has --option=value as three words
        [[ ${COMP_WORDS[i]} == = ]] || words+=("${COMP_WORDS[i]}")
    done
    [[ ${COMP_WORDS[COMP_CWORD]} == = ]] && words+=("")
    COMPREPLY=()
    while IFS=, read -r kind value; do
        case $kind in
            plain) COMPREPLY+=("$value") ;;
            file) compopt -o default 2>/dev/null || COMPREPLY=($(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")) ;;
            dir) compopt -o dirnames 2>/dev/null || COMPREPLY=($(compgen -d -- "${COMP_WORDS[COMP_CWORD]}")) ;;
        esac
    done < <(env COMP_WORDS="${words[*]}" COMP_CWORD=$((${#words[@]} - 1)) _MOA_MCP_COMPLETE=bash_complete \
        "$1" 2>/dev/null)
}
complete -o nosort -F _moa_mcp_completion moa-mcp 2>/dev/null || complete -F _moa_mcp_completion moa-mcp
"""

_ZSH = r"""#compdef moa-mcp
# Completion of moa-mcp for zsh. Its file on the fpath has the name of the function, which replaces the file's content
# when that is loaded.
_moa-mcp() {
    local -a plain described
    local kind value help paths
    while IFS= read -r kind && IFS= read -r value && IFS= read -r help; do
        case $kind in
            plain) if [[ $help == _ ]]; then plain+=("$value"); else described+=("$value:$help"); fi ;;
            file) paths=-f ;;
            dir) paths=-/ ;;
        esac
    done < <(env COMP_WORDS="${words[*]}" COMP_CWORD=$((CURRENT - 1)) _MOA_MCP_COMPLETE=zsh_complete \
        "${(Q)words[1]}" 2>/dev/null)
    [[ -n $paths ]] && _path_files $paths
    (( $#described )) && _describe -V moa-mcp described -U
    (( $#plain )) && compadd -U -V moa-mcp -a plain
}
if [[ $funcstack[1] == _moa-mcp ]]; then
    _moa-mcp "$@"
else
    compdef _moa-mcp moa-mcp
fi
"""

_FISH = r"""# Completion of moa-mcp for fish.
function _moa_mcp_completion
    set -l command (commandline -opc)[1]
    set -lx _MOA_MCP_COMPLETE fish_complete
    set -lx COMP_WORDS (commandline -cp | string collect)
    set -lx COMP_CWORD (commandline -t | string collect)
    for line in ($command 2>/dev/null)
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case plain
                echo $parts[2]
            case file
                __fish_complete_path $parts[2]
            case dir
                __fish_complete_directories $parts[2]
        end
    end
end
complete --command moa-mcp --no-files --keep-order --arguments '(_moa_mcp_completion)'
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}
_EPILOG = """\b
Store it where the shell finds it:
  moa-mcp completion bash > ~/.local/share/bash-completion/completions/moa-mcp
  moa-mcp completion zsh > ~/.zfunc/_moa-mcp   # a folder of your fpath
  moa-mcp completion fish > ~/.config/fish/completions/moa-mcp.fish

Exit codes: 0 success, 2 wrong usage.
"""


@click.command("completion", epilog=_EPILOG)
@click.argument("shell", required=False, type=click.Choice([*SCRIPTS]))
def command(shell: str | None) -> None:
    """Print the script that completes moa-mcp in SHELL: bash, zsh or fish.

    Without SHELL, prints the script for your login shell.
    """
    login = Path(os.environ.get("SHELL", "")).name
    name = shell or login
    if name not in SCRIPTS:
        known = f"there is no completion for the shell {login!r}" if login else "the variable SHELL is not set"
        raise Refused(known, f"Name a shell: {', '.join(SCRIPTS)}.")
    click.echo(SCRIPTS[name], nl=False)
