/* Feeds hostile bytes to the reader of the PROXY protocol's header, which is held against itself:
 * the same bytes a piece at a time end in the same result. */
#include "require.h"

#include "net/proxy_header.h"

#include <errno.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size < PROXY_HEADER_MAX ? size : PROXY_HEADER_MAX};
    struct proxy_header whole, piece;
    int result = proxy_header_read(bytes, &whole), early = -EAGAIN;
    size_t len = 0;
    while (early == -EAGAIN && len < bytes.len)
        early = proxy_header_read((struct str){bytes.at, ++len}, &piece);
    require(early == result);
    require(result == 0 || result == -EAGAIN || result == -EPROTO);
    require(result != -EAGAIN || bytes.len < PROXY_HEADER_MAX);
    if (!result) {
        require(whole.size == len && whole.size <= PROXY_HEADER_MAX);
        require(whole.has_address == (whole.address.any.sa_family != AF_UNSPEC));
    }
    return 0;
}
