#!/bin/sh
# layers.sh ROOT: every #include "layer/file.h" under ROOT/src goes to the file's own layer or to
# one that it may use, which the table names as a whole or as a single header of it. The table below
# is the law; ARCHITECTURE.md tells it in words.
set -eu
cd "$1"

find src -name '*.[ch]' -print | LC_ALL=C sort | xargs awk '
BEGIN {
    may["base"] = ""
    may["net"] = "base"
    may["http"] = "base"
    may["ws"] = "base"
    may["log"] = "net base"
    may["hub"] = "log net base"
    may["publish"] = "log net base http/media.h"
    may["transport"] = "publish hub log http ws net base"
    may["webhooks"] = "publish hub log http ws net base"
    may["inbound"] = "http base"
    may["client"] = "inbound http ws base"
    may["bench"] = "client http ws base"
    may["api"] = "transport webhooks publish inbound hub log http ws net base"
    may["server"] = "api bench client transport webhooks publish inbound hub log http ws net base"

    # Bytes in, events out: a codec that can reach a socket is no codec, and the hub has none.
    split("http ws hub inbound", pure)
    for (i in pure)
        socketless[pure[i]] = 1
}

function fail(text) {
    print FILENAME ":" FNR ": " text
    bad = 1
}

function allowed(from, to, header) {
    return from == to || index(" " may[from] " ", " " to " ") ||
        index(" " may[from] " ", " " header " ")
}

FNR == 1 {
    split(FILENAME, path, "/")
    layer = path[2]
    if (!(layer in may))
        fail("src/" layer " is no layer")
}

/^[ \t]*#[ \t]*include[ \t]*"/ {
    split($0, quoted, "\"")
    target = quoted[2]
    if (target !~ /^[a-z0-9_]+\// || target ~ /\.\./)
        fail("name the layer: #include \"" layer "/" target "\"")
    else {
        split(target, to, "/")
        if (!allowed(layer, to[1], target))
            fail(layer " may not include " target " (it may use: " may[layer] ")")
    }
}

/^[ \t]*#[ \t]*include[ \t]*<(sys\/(socket|epoll|eventfd|un)|netinet\/|arpa\/|netdb|liburing)/ {
    if (layer in socketless)
        fail(layer " has no sockets")
}

END { exit bad }
'
