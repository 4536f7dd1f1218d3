#!/bin/sh
# comments.sh ROOT: at most one comment in a hundred of the C code opens with a pronoun or a relative
# ("what", "who", "it", "one", "none", "as", "that" and their kin), and no name of a test does. Such a
# sentence makes the reader look for its subject: open with the noun instead.
set -eu
cd "$1"

for dir in src fuzz bench tests; do
    [ ! -d "$dir" ] || find "$dir" -name node_modules -prune -o \( -name '*.[ch]' -o -name '*.test.mjs' \) -print
done | LC_ALL=C sort | xargs awk '
BEGIN {
    percent_max = 1
    count = split("what whatever who whoever whom whose which whichever it its one ones none as that " \
        "this those these they them their he she him such", words, " ")
    for (i = 1; i <= count; i++)
        refused[words[i]] = 1
}

# TEXT without the string or character constant whose opening quote stood before it.
function behind_constant(text, quote,    c) {
    while (match(text, /[\\"\047]/)) {
        c = substr(text, RSTART, 1)
        text = substr(text, RSTART + (c == "\\" ? 2 : 1))
        if (c == quote)
            break
    }
    return text
}

# Counts a comment by TEXT, which begins with its first word.
function judge(text) {
    sub(/^[^A-Za-z]+/, "", text)
    match(text, /^[A-Za-z]+/)
    comments++
    if (tolower(substr(text, 1, RLENGTH)) in refused)
        offenders[++offended] = FILENAME ":" opened ": " substr(text, 1, 70)
}

# Judges the name of a test by its first word.
function judge_name(name) {
    match(name, /^[A-Za-z]+/)
    if (tolower(substr(name, 1, RLENGTH)) in refused)
        names[++named] = FILENAME ":" FNR ": " substr(name, 1, 70)
}

FNR == 1 { inside = 0 }

/^ *test\(["`\047]/ { judge_name(substr($0, index($0, "(") + 2)) }

FILENAME ~ /mjs$/ { next }

/^static void [a-z0-9_]+\(void \*\*/ { judge_name($3) }

{
    rest = $0
    while (rest != "") {
        if (!inside) {
            if (!match(rest, /\/\*|"|\047/))
                break
            found = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            if (found != "/*") {
                rest = behind_constant(rest, found)
                continue
            }
            inside = 1
            opened = FNR
            judged = 0
        }
        # The first word may stand on the line behind the opening.
        end = index(rest, "*/")
        text = end ? substr(rest, 1, end - 1) : rest
        if (!judged && text ~ /[A-Za-z]/) {
            judge(text)
            judged = 1
        }
        if (!end)
            break
        rest = substr(rest, end + 2)
        inside = 0
    }
}

END {
    for (i = 1; i <= named; i++)
        print names[i]
    if (named)
        print named " names of tests open with a pronoun or a relative: open with the noun"
    if (offended * 100 <= comments * percent_max)
        exit named > 0
    for (i = 1; i <= offended; i++)
        print offenders[i]
    print offended " of " comments " comments open with a pronoun or a relative, more than " \
        percent_max " %: open with the noun"
    exit 1
}
'
