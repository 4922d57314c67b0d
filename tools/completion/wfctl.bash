# bash completion for wfctl(1). Nouns, verbs, options and their values come from wfctl itself
# (`wfctl complete WORD…`); ids and types come from the store at hand, files and folders from the shell.

# The values of member $1 in the JSON lines on stdin.
_wfctl_member() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

# Offer what is there, of the kind $1, for the word $2; the rest is the store's -d DIR, if any.
_wfctl_offer() {
    local kind=$1 current=$2 wfctl=${COMP_WORDS[0]} found=
    shift 2
    case $kind in
    file) mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    folder) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    id) found=$("$wfctl" "$@" -o jsonl workflow list --limit 500 2>/dev/null | _wfctl_member id) ;;
    account) found=$("$wfctl" "$@" -o jsonl account list 2>/dev/null | head -500 | _wfctl_member number) ;;
    type) found=$("$wfctl" "$@" -o jsonl def list 2>/dev/null | _wfctl_member name | sort -u) ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$found" -- "$current")
}

_wfctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local place=() dir=() i
    mapfile -t COMPREPLY < <("${COMP_WORDS[0]}" complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
    [ ${#COMPREPLY[@]} = 0 ] || return
    [[ $current != -* ]] || return

    # The words before this one, without options: noun, verb and so on.
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -d | --dir)
            dir=(-d "${COMP_WORDS[i + 1]}")
            ((i++))
            ;;
        --verify | --create | --sweep | --dry-run | --rollback | --once | --until-idle | --compensate | --help | --version | -[cVh]) ;;
        -*) ((i++)) ;;
        *) place+=("${COMP_WORDS[i]}") ;;
        esac
    done

    case "$previous ${place[*]}" in
    "-d "* | "--dir "*) _wfctl_offer folder "$current" ;;
    "--exec "* | "--ops "*) _wfctl_offer file "$current" ;;
    "--workflow "*) _wfctl_offer id "$current" "${dir[@]}" ;;
    "--type "*) _wfctl_offer type "$current" "${dir[@]}" ;;
    --verify\ * | --create\ * | --sweep\ *) ;;
    -*) ;; # some other option's value
    *" workflow start" | *" def show" | *" def diff") _wfctl_offer type "$current" "${dir[@]}" ;;
    *" workflow "[a-z]*" "*) ;;
    *" workflow list") ;;
    *" review list" | *" review "[a-z]*" "*) ;;
    *" account "[a-z]*" "*) ;;
    *" account transact") _wfctl_offer file "$current" ;;
    *" account show" | *" account statement" | *" account history" | *" account freeze" | *" account unfreeze" | \
        *" account close") _wfctl_offer account "$current" "${dir[@]}" ;;
    *" workflow "* | *" review "*) _wfctl_offer id "$current" "${dir[@]}" ;;
    *" def add" | *" def validate" | *" replay" | *" wal dump") _wfctl_offer file "$current" ;;
    *" backup" | *" restore") _wfctl_offer folder "$current" ;;
    esac
}

complete -o filenames -F _wfctl wfctl
