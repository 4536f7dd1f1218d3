#!/bin/sh
# crlf.sh ROOT: no file of the server writes or reads lines of HTTP by hand. Handlers, formats and
# everything else make responses as data (http/response.h); the codecs in http/ and the writer of
# HTTP/1.1 alone know how lines end. Otherwise another version of HTTP would need an `if` in each of
# them.
#
# These folders and files may have the bytes CR LF in a text:
#   src/http                       the codecs
#   src/http2/head.c               writes a request's head as one of HTTP/1.1
#   src/transport/http1_writer.c   writes a response as HTTP/1.1
#   src/client, src/bench          programs that speak HTTP/1.1 to a server, as its other end
#   tests beside their modules     what a peer says is written byte by byte
set -eu
cd "$1"

found=0
find src -name '*.[ch]' ! -path 'src/http/*' ! -path 'src/client/*' ! -path 'src/bench/*' \
    ! -path src/transport/http1_writer.c ! -path src/http2/head.c ! -name '*_test.c' ! -name '*testing.h' -print |
    LC_ALL=C sort | xargs -r grep -nF '\r\n' || found=$?
# xargs answers 123 when a grep found nothing.
[ "$found" -eq 1 ] || [ "$found" -eq 123 ] && exit 0
echo "make a response as data: see src/http/response.h"
exit 1
