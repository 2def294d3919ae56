"""Completion files for bash, zsh and fish, made from the declarations of the commands.

Names of watchers and process ids are asked from circusd while completing, through `circusctl list`.
"""

from __future__ import annotations

import os

from circus.commands import get_commands
from circus.commands.base import Command
from circus.ctl.argv import places, signal_names
from circus.ctl.global_options import GLOBAL_FLAGS, known_words
from circus.ctl.manual import summary

# Sorts of words, as the kinds of properties are called, that can be completed.
_COMPLETED = ("global", "keys", "match", "object", "pid", "signal", "watcher")

# The parts that do not depend on the commands; what stands between at-signs is put in.

# bash breaks words at `:` and `=`, which stand in endpoints and names; so the line is taken apart anew, at blanks,
# and what bash takes for the part before the last word is cut off the answers again.
BASH = r"""# bash completion of circusctl, made by: circusctl --completion bash
# Put it into ~/.local/share/bash-completion/completions/circusctl, or source it.

_circusctl_words() {  # sort of word, name of the watcher
    case $1 in
        watcher) circusctl "${reach[@]}" --timeout 1 list 2>/dev/null | tr ',' '\n' ;;
        pid) circusctl "${reach[@]}" --timeout 1 list "$2" 2>/dev/null | tr ',' '\n' ;;
        global) circusctl "${reach[@]}" --timeout 1 globaloptions 2>/dev/null | cut -d: -f1 ;;
        keys|object) printf '%s\n' @OPTIONS@ ;;
        signal) printf '%s\n' @SIGNALS@ ;;
        match) printf '%s\n' @METHODS@ ;;
    esac
}

_circusctl() {
    local line=${COMP_LINE:0:COMP_POINT} words word cur previous= command= flags= places= index=0
    local valued=' @VALUED@ ' reach=() plain=() sort
    read -a words <<< "$line"
    [[ $line == *[[:space:]] ]] && words+=('')
    cur=${words[${#words[@]}-1]}
    for word in "${words[@]:1:${#words[@]}-2}"; do
        if [[ -n $previous ]]; then
            [[ -z $command && $previous != --timeout ]] && reach+=("$previous" "$word")
            previous=
        elif [[ $word == --* && $valued == *" $word="* ]]; then
            previous=$word
        elif [[ $word != -* ]]; then
            if [[ -z $command ]]; then command=$word; else plain+=("$word"); fi
        fi
    done
    case $command in
@CASES@
        help) places= flags= ;;
    esac
    local candidates=
    if [[ -n $previous ]]; then
        sort=${valued#*" $previous="}
        candidates=$(_circusctl_words "${sort%% *}" '')
        [[ $previous == --completion ]] && candidates=$(printf '%s\n' bash zsh fish)
    elif [[ -z $command ]]; then
        if [[ $cur == -* ]]; then candidates=$(printf '%s\n' @GLOBAL_FLAGS@)
        else candidates=$(printf '%s\n' @NAMES@); fi
    elif [[ $command == help ]]; then
        candidates=$(printf '%s\n' @NAMES@)
    elif [[ $cur == -* ]]; then
        candidates=$(printf '%s\n' $flags)
    else
        read -a sort <<< "$places"
        index=${#plain[@]}
        word=${sort[index]}
        # A star: the last place may be repeated.
        (( index >= ${#sort[@]} )) && [[ $places == *'*' ]] && word=${sort[${#sort[@]}-1]}
        # Of the pairs after `set NAME` only the first of each is the name of an option.
        if [[ $word != 'object*' ]] || (( ${#plain[@]} % 2 )); then
            word=${word%\*}
            candidates=$(for sort in ${word//|/ }; do _circusctl_words "$sort" "${plain[0]}"; done)
        fi
    fi
    local before=
    [[ $cur == *[:=]* ]] && before=${cur%"${cur##*[:=]}"}
    COMPREPLY=()
    while IFS= read -r word; do
        [[ -n $word && $word == "${cur//\\/}"* ]] || continue
        printf -v word '%q' "$word"
        COMPREPLY+=("${word#"$before"}")
    done <<< "$candidates"
}

complete -F _circusctl circusctl
"""

ZSH = r"""#compdef circusctl
# zsh completion of circusctl, made by: circusctl --completion zsh
# Put it into a directory of $fpath, under the name _circusctl, or source it after compinit.

_circusctl_words() {  # sort of word, name of the watcher
    local -a found
    case $1 in
        watcher) found=(${(s:,:)"$(circusctl $reach --timeout 1 list 2>/dev/null)"}) ;;
        pid) found=(${(s:,:)"$(circusctl $reach --timeout 1 list $2 2>/dev/null)"}) ;;
        global) found=(${(f)"$(circusctl $reach --timeout 1 globaloptions 2>/dev/null | cut -d: -f1)"}) ;;
        keys|object) found=(@OPTIONS@) ;;
        signal) found=(@SIGNALS@) ;;
        match) found=(@METHODS@) ;;
    esac
    (( $#found )) && compadd -a found
}

_circusctl() {
    local word previous= command= flags= places= valued=' @VALUED@ ' sort
    local -a reach plain sorts summaries global_flags
    summaries=(
@SUMMARIES@
    )
    global_flags=(@GLOBAL_FLAGS@)
    for word in ${(Q)words[2,CURRENT-1]}; do
        if [[ -n $previous ]]; then
            [[ -z $command && $previous != --timeout ]] && reach+=($previous $word)
            previous=
        elif [[ $word == --* && $valued == *" $word="* ]]; then
            previous=$word
        elif [[ $word != -* ]]; then
            if [[ -z $command ]]; then command=$word; else plain+=($word); fi
        fi
    done
    case $command in
@CASES@
    esac
    if [[ -n $previous ]]; then
        if [[ $previous == --completion ]]; then compadd bash zsh fish; return; fi
        sort=${valued#*" $previous="}
        _circusctl_words ${sort%% *}
    elif [[ -z $command ]]; then
        if [[ $PREFIX == -* ]]; then _describe option global_flags
        else _describe command summaries; fi
    elif [[ $command == help ]]; then
        _describe command summaries
    elif [[ $PREFIX == -* ]]; then
        compadd -- ${=flags}
    else
        sorts=(${=places})
        if (( $#plain < $#sorts )); then sort=$sorts[$#plain+1]
        elif [[ $sorts[-1] == *\* ]]; then sort=$sorts[-1]
        else return 1; fi
        [[ $sort == object\* ]] && (( $#plain % 2 == 0 )) && return 1
        for word in ${(s:|:)sort%\*}; do _circusctl_words $word $plain[1]; done
    fi
}

if [[ $funcstack[1] == _circusctl ]]; then
    _circusctl "$@"  # autoloaded: this is the first completion
else
    compdef _circusctl circusctl
fi
"""

FISH = r"""# fish completion of circusctl, made by: circusctl --completion fish
# Put it into ~/.config/fish/completions/circusctl.fish

function __circusctl_places --description 'sorts of words a command takes'
    switch $argv[1]
@CASES@
    end
end

# First line the command, then the plain words after it; with --reach the flags that say which circusd is meant.
function __circusctl_line
    set -l previous ''
    set -l command ''
    set -l reach
    set -l plain
    for word in (commandline -opc)[2..-1]
        if test -n "$previous"
            if test -z "$command" -a "$previous" != --timeout
                set reach $reach $previous $word
            end
            set previous ''
        else if string match -q -- "* $word=*" ' @VALUED@ '
            set previous $word
        else if not string match -q -- '-*' $word
            if test -z "$command"
                set command $word
            else
                set plain $plain $word
            end
        end
    end
    if test "$argv[1]" = --reach
        for word in $reach
            echo $word
        end
    else
        echo $command
        for word in $plain
            echo $word
        end
    end
end

function __circusctl_needs_command
    set -l line (__circusctl_line)
    test -z "$line[1]"
end

function __circusctl_using
    set -l line (__circusctl_line)
    test "$line[1]" = "$argv[1]"
end

function __circusctl_words --description 'sort of word, name of the watcher'
    set -l reach (__circusctl_line --reach)
    switch $argv[1]
        case watcher
            circusctl $reach --timeout 1 list 2>/dev/null | string split ,
        case pid
            circusctl $reach --timeout 1 list $argv[2] 2>/dev/null | string split ,
        case global
            circusctl $reach --timeout 1 globaloptions 2>/dev/null | string replace -r ':.*' ''
        case keys object
            string split ' ' '@OPTIONS@'
        case signal
            string split ' ' '@SIGNALS@'
        case match
            string split ' ' '@METHODS@'
    end
end

function __circusctl_next
    set -l line (__circusctl_line)
    test -n "$line[1]"; or return
    if test "$line[1]" = help
        string split ' ' '@NAMES@'
        return
    end
    set -l places (__circusctl_places $line[1] | string split ' ')
    set -l index (count $line)
    if test $index -gt (count $places)
        string match -q -- '*\*' $places[-1]; or return
        set index -1
    end
    set -l sort $places[$index]
    if test "$sort" = 'object*' -a (math (count $line) % 2) -eq 1
        return
    end
    for one in (string replace '*' '' -- $sort | string split '|')
        __circusctl_words $one $line[2]
    end
end

complete -c circusctl -f
complete -c circusctl -n 'not __circusctl_needs_command' -a '(__circusctl_next)'
@GLOBAL_FLAGS@
@SUMMARIES@
"""


def script(shell: str) -> str:
    """The completion file for `bash`, `zsh` or `fish`."""
    template, commands, global_flags = {
        "bash": (BASH, _sh_cases, _sh_words),
        "zsh": (ZSH, _sh_cases, _zsh_flags),
        "fish": (FISH, _fish_cases, _fish_flags),
    }[shell]
    text = template.replace("@CASES@", "\n".join(map(commands, get_commands().values())))
    text = text.replace("@GLOBAL_FLAGS@", global_flags()).replace("@VALUED@", _valued())
    text = text.replace("@NAMES@", " ".join(known_words()))
    text = text.replace("@SUMMARIES@", "\n".join(_zsh_summaries()) if shell == "zsh" else "\n".join(_fish_summaries()))
    text = text.replace("@OPTIONS@", " ".join(_option_names())).replace("@SIGNALS@", " ".join(signal_names()))
    return text.replace("@METHODS@", " ".join(_methods())).rstrip()


def auto_complete() -> int:
    """The oldest form: $AUTO_COMPLETE is set, and the words are in $COMP_WORDS. Prints names; always exit code 1."""
    words = os.environ.get("COMP_WORDS", "").split()
    if os.environ.get("COMP_CWORD") == "1":
        start = words[1] if len(words) > 1 else ""
        print(" ".join(name for name in get_commands() if name.startswith(start)))
    return 1


def _option_names() -> tuple[str, ...]:
    from circus.options.settings import watcher_keys

    return watcher_keys()


def _methods() -> tuple[str, ...]:
    from circus.commands.matching import METHODS

    return METHODS


def _valued() -> str:
    """Every flag that takes a value, with the sort of that value: `--match=match --endpoint=`."""
    found = {names[0]: "" for names, metavar, _ in GLOBAL_FLAGS if metavar}
    for command in get_commands().values():
        kinds = {p.name: _sort(p.kind.name) for p in command.takes}
        for _, name, default, _ in command.options:
            if not isinstance(default, bool):
                found[f"--{name}"] = kinds.get(name, "")
    return " ".join(f"{flag}={kind}" for flag, kind in found.items())


def _sort(kind: str) -> str:
    return kind if kind in _COMPLETED else ""


def _places(command: Command) -> str:
    """`watcher pid|signal signal`; `-` for what cannot be completed, a star after what may be repeated."""
    return " ".join(
        "|".join(_sort(p.kind.name) or "-" for p in fitting) + ("*" if fitting[0].rest else "")
        for fitting in places(command)
    )


def _quoted(text: str) -> str:
    """In single quotes, for any of the three shells."""
    return "'" + text.replace("'", "'\\''") + "'"


def _sh_cases(command: Command) -> str:
    flags = " ".join(f"--{name}" for _, name, _, _ in command.options)
    return f"        {command.name}) flags='{flags} --help' places='{_places(command)}' ;;"


def _sh_words() -> str:
    return " ".join(name for names, _, _ in GLOBAL_FLAGS for name in names)


def _zsh_flags() -> str:
    return " ".join(_quoted(f"{name}:{text}") for names, _, text in GLOBAL_FLAGS for name in names)


def _zsh_summaries() -> list[str]:
    return [f"        {_quoted(f'{name}:{summary(command)}')}" for name, command in get_commands().items()]


def _fish_cases(command: Command) -> str:
    lines = [f"        case {command.name}", f"            echo '{_places(command) or '-'}'"]
    return "\n".join(lines)


def _fish_flags() -> str:
    lines = []
    for names, metavar, text in GLOBAL_FLAGS:
        letters = "".join(f" -s {name[1:]}" for name in names if not name.startswith("--"))
        value = " -x" if metavar else ""
        choices = f" -a '{metavar.replace('|', ' ')}'" if "|" in metavar else ""
        long = next(name for name in names if name.startswith("--"))[2:]
        lines.append(
            f"complete -c circusctl -n __circusctl_needs_command -l {long}{letters}{value}{choices} -d {_quoted(text)}"
        )
    return "\n".join(lines)


def _fish_summaries() -> list[str]:
    lines = []
    for name, command in get_commands().items():
        lines.append(f"complete -c circusctl -n __circusctl_needs_command -a {name} -d {_quoted(summary(command))}")
        kinds = {p.name: _sort(p.kind.name) for p in command.takes}
        for _, flag, default, text in command.options:
            value = ""
            if not isinstance(default, bool):
                value = f" -x -a '(__circusctl_words {kinds[flag]})'" if kinds.get(flag) else " -x"
            using = f"-n '__circusctl_using {name}'"
            lines.append(f"complete -c circusctl {using} -l {flag}{value} -d {_quoted(text)}")
    return lines
