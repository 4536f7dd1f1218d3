#!/bin/sh
# comments.sh ROOT: at most one comment in a hundred of the C code opens with a pronoun or a relative
# ("what", "who", "it", "one", "none", "as", "that" and their kin). A sentence that opens with one makes
# the reader look for its subject; open with the noun instead.
set -eu
cd "$1"

for dir in src fuzz bench tests; do
    [ ! -d "$dir" ] || find "$dir" -name '*.[ch]' -print
done | LC_ALL=C sort | xargs awk '
BEGIN {
    percent_max = 1
    count = split("what whatever who whoever whom whose which whichever it its one ones none as that " \
        "this those these they them their he she him such", words, " ")
    for (i = 1; i <= count; i++)
        refused[words[i]] = 1
}

# The comment that TEXT begins, at LINE: read its first word.
function judge(text, line) {
    sub(/^[^A-Za-z]+/, "", text)
    match(text, /^[A-Za-z]+/)
    comments++
    if (tolower(substr(text, 1, RLENGTH)) in refused)
        offenders[++offended] = FILENAME ":" line ": " substr(text, 1, 70)
}

FNR == 1 {
    inside = 0
    opened = 0
}

{
    rest = $0
    while (rest != "") {
        if (!inside) {
            # A string or a character constant may hold what looks like a comment.
            if (!match(rest, /\/\*|"|\047/))
                break
            found = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            if (found != "/*") {
                if (match(rest, found == "\"" ? /^([^"\\]|\\.)*"/ : /^([^\047\\]|\\.)*\047/))
                    rest = substr(rest, RLENGTH + 1)
                continue
            }
            inside = 1
            opened = FNR
            judged = 0
        }
        # The first word may stand on the line after the opening.
        end = index(rest, "*/")
        text = end ? substr(rest, 1, end - 1) : rest
        if (!judged && text ~ /[A-Za-z]/) {
            judge(text, opened)
            judged = 1
        }
        if (!end)
            break
        rest = substr(rest, end + 2)
        inside = 0
    }
}

END {
    if (offended * 100 <= comments * percent_max)
        exit 0
    for (i = 1; i <= offended; i++)
        print offenders[i]
    print offended " of " comments " comments open with a pronoun or a relative; at most " \
        percent_max " % may: open with the noun"
    exit 1
}
'
