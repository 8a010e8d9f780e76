#compdef cijob
# Completion of cijob in zsh. cijob itself is asked, and answers as programs made with cobra do: a candidate a line, with a
# tab before its description, and at the end a colon and a number for what else to offer.

_cijob() {
    local program=cijob line
    local -a answer candidates
    [[ $words[1] != */* ]] || program=${~words[1]}
    answer=("${(@f)$(_CIJOB_COMPLETE=words $program "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null)}")
    [[ $PREFIX != -*=* ]] || compset -P '*='
    for line in "${(@)answer[1,-2]}"; do
        if [[ $line == *$'\t'* ]]; then
            candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
        else
            candidates+=("${line//:/\\:}")
        fi
    done
    case $answer[-1] in
    (:0) _files ;;
    (:16) _files -/ ;;
    (*) _describe -V -t cijob completions candidates ;;
    esac
}

if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
    _cijob "$@"
else
    compdef _cijob cijob
fi
