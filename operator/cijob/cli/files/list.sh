#!/bin/sh
# list.sh: run in the working directory: names the folders, then the files and symbolic links; each name and each of the two
# lists ends with a NUL.
command -v tar >/dev/null 2>&1 || {
    printf '%s\n' "the job's image has no tar to take its files with: take an image that has it" >&2
    exit 1
}

walk() { # walk FOLDER: where there is no find; sets folders or files
    for name in "$1"/* "$1"/.[!.]* "$1"/..?*; do
        if [ -L "$name" ] || [ -f "$name" ]; then
            [ "$kind" = d ] || printf '%s\0' "$name"
        elif [ -d "$name" ]; then
            [ "$kind" = f ] || printf '%s\0' "$name"
            walk "$name"
        fi
    done
}

if command -v find >/dev/null 2>&1; then
    find . -type d -print0
    printf '\0'
    find . \( -type f -o -type l \) -print0
else
    kind=d
    walk .
    printf '\0'
    kind=f
    walk .
fi
printf '\0'
