# bash completion for wfctl(1): nouns, verbs, options, and the ids and types of the store at hand.

# Noun, verb or "-" where the noun has none, then its options and words; @id, @type, @stage, @file and
# @dir stand for what is looked up.
_wfctl_table() {
    cat <<'TABLE'
init - --test-clock
status -
doctor -
def add @file
def list -
def show @type
def validate @file
workflow start @type --id --key
workflow submit @id --key
workflow show @id --as-of
workflow history @id
workflow list --status --stage --where --limit --after
workflow fail @id --reason
workflow cancel @id --reason
clock show
clock advance
clock tick
replay - --from --until --workflow --verify @file
wal status
wal dump
wal verify
wal repair
snapshot create
snapshot list
snapshot verify
exec - --create
backup - @dir
restore - @dir
metrics -
help - @noun
TABLE
}

_wfctl_verbs() {
    _wfctl_table | awk -v noun="$1" '$1 == noun && $2 != "-" { print $2 }'
}

# What comes after noun $1 and verb $2.
_wfctl_words() {
    _wfctl_table | awk -v noun="$1" -v verb="$2" \
        '$1 == noun && ($2 == "-" || $2 == verb) { for (i = 3; i <= NF; i++) if ($i != "-") print $i }'
}

# The values of member $1 in the JSON lines on stdin.
_wfctl_member() {
    sed -n "s/.*\"$1\": *\"\([^\"]*\)\".*/\1/p"
}

_wfctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local wfctl=${COMP_WORDS[0]} noun='' verb='' dir=() word i words=()
    COMPREPLY=()

    for ((i = 1; i < COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        case $word in
        -d | --dir)
            dir=(-d "${COMP_WORDS[i + 1]}")
            ((i++))
            ;;
        -o | --output) ((i++)) ;;
        -*) ;;
        *)
            if [ -z "$noun" ]; then
                noun=$word
            elif [ -z "$verb" ]; then
                verb=$word
            fi
            ;;
        esac
    done

    case $previous in
    -d | --dir) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    -o | --output) mapfile -t COMPREPLY < <(compgen -W 'text json jsonl' -- "$current") && return ;;
    --status)
        mapfile -t COMPREPLY < <(compgen -W 'running held awaiting_review rolling_back completed failed cancelled' -- "$current")
        return
        ;;
    --workflow) words=(@id) ;;
    --id | --key | --reason | --stage | --where | --limit | --after | --as-of | --from | --until | --test-clock) return ;;
    *)
        if [ -z "$noun" ]; then
            mapfile -t words < <(_wfctl_table | awk '!seen[$1]++ { print $1 }')
            words+=(--dir --output --help --version)
        elif [ "$noun" = help ] && [ -n "$verb" ]; then
            mapfile -t words < <(_wfctl_verbs "$verb")
        elif [ -z "$verb" ] && [ -n "$(_wfctl_verbs "$noun")" ]; then
            mapfile -t words < <(_wfctl_verbs "$noun")
        else
            mapfile -t words < <(_wfctl_words "$noun" "$verb")
            words+=(--help)
        fi
        ;;
    esac

    local choices=()
    for word in "${words[@]}"; do
        case $word in
        @id) mapfile -t -O ${#choices[@]} choices < <("$wfctl" "${dir[@]}" -o jsonl workflow list --limit 200 2>/dev/null | _wfctl_member id) ;;
        @type) mapfile -t -O ${#choices[@]} choices < <("$wfctl" "${dir[@]}" -o jsonl def list 2>/dev/null | _wfctl_member name | sort -u) ;;
        @noun) mapfile -t -O ${#choices[@]} choices < <(_wfctl_table | awk '!seen[$1]++ { print $1 }') ;;
        @file) [[ $current == -* ]] || mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
        @dir) [[ $current == -* ]] || mapfile -t COMPREPLY < <(compgen -d -- "$current") ;;
        *) choices+=("$word") ;;
        esac
    done
    mapfile -t -O ${#COMPREPLY[@]} COMPREPLY < <(compgen -W "${choices[*]}" -- "$current")
}

complete -o filenames -F _wfctl wfctl
