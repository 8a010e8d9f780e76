# Completion of cijob in bash, 4.4 or later. cijob itself is asked, and answers as programs made with cobra do: a candidate a
# line, with a tab before its description, and at the end a colon and a number for what else to offer.

_cijob_completion() {
    local program=${1/#\~\//$HOME/} line=${COMP_LINE:0:COMP_POINT} words=() answer=() rest word current skip='' add='' i
    [[ $program == */* ]] || program=cijob # an alias is no program
    # Bash splits at = and : (COMP_WORDBREAKS): what has no blank between is one word again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        rest=${line#"${line%%[![:space:]]*}"}
        word=$rest # up to the cursor
        ((i == COMP_CWORD)) || word=${COMP_WORDS[i]}
        if [[ i -eq 0 || $rest != "$line" ]]; then
            words+=("$word")
        else
            words[-1]+=$word
        fi
        line=${rest#"$word"}
    done
    mapfile -t answer < <(_CIJOB_COMPLETE=bash "$program" "${words[@]:1}" 2>/dev/null)
    ((${#answer[@]})) || return 0
    case ${answer[-1]} in
    :0) compopt -o default ;;
    :16) compopt -o dirnames ;;
    esac
    unset 'answer[-1]'

    # Only a part of the word is replaced: what bash takes for the word, which is $2.
    current=${words[-1]}
    if [[ $2 == -*=* ]]; then
        add=${2%%=*}=
    else
        [[ $current != -*=* ]] || current=${current#*=}
        skip=${current#[\"\']}
        skip=${skip%"$2"}
    fi
    for word in "${answer[@]}"; do
        word=${word%%$'\t'*}
        [[ $current == [\"\']* ]] || printf -v word %q "$word"
        COMPREPLY+=("$add${word#"$skip"}")
    done
}

complete -o nosort -F _cijob_completion cijob
