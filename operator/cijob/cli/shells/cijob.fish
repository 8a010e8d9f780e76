# Completion of cijob in fish. cijob itself is asked, and answers as programs made with cobra do: a candidate a line, with a
# tab before its description, and at the end a colon and a number for what else to offer.

function __cijob_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    string match -q '*/*' -- "$program"; or set program cijob
    set -e words[1]
    set -l candidates (env _CIJOB_COMPLETE=words $program $words "$current" 2>/dev/null)
    # To fish an option and its value behind = are one word.
    set -l before (string match -r -- '^-[^=]*=' "$current")
    set -l value (string replace -- "$before" '' "$current")
    switch "$candidates[-1]"
        case ':0'
            set candidates (__fish_complete_path "$value") ''
        case ':16'
            set candidates (__fish_complete_directories "$value") ''
    end
    for candidate in $candidates[1..-2]
        echo "$before$candidate"
    end
end

complete --command cijob --no-files --keep-order --arguments '(__cijob_complete)'
