# bash completion for rollcall: the program itself says which words may come.
_rollcall() {
    local current=${COMP_WORDS[COMP_CWORD]} words=
    if ((COMP_CWORD == 1)); then
        words=$("${COMP_WORDS[0]}" --complete 2>/dev/null)
    elif [[ ${COMP_WORDS[1]} == ctl ]]; then
        words=$("${COMP_WORDS[0]}" ctl --complete "${COMP_WORDS[@]:2:COMP_CWORD-2}" 2>/dev/null)
    fi
    # shellcheck disable=SC2207 # none of the words has blanks
    COMPREPLY=($(compgen -W "$words" -- "$current"))
    [[ ${#COMPREPLY[@]} -gt 0 || $current == -* ]] || compopt -o default
}
complete -F _rollcall rollcall
