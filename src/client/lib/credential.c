#include "client/lib/credential.h"

#include "client/lib/first_line.h"
#include "client/lib/server_url.h"

#include <errno.h>
#include <string.h>

static int read_file(struct credential *credential, struct buf *why)
{
    bool is_input = strcmp(credential->file, "-") == 0;
    credential->text = credential->own = first_line_read(credential->file);
    if (!credential->own) {
        buf_addf(why, "cannot read %s: %s", is_input ? "standard input" : credential->file,
                 strerror(errno));
        return -EINVAL;
    }
    if (server_url_token_valid(credential->own))
        return 0;
    buf_addf(why, "%s does not hold a key or a token, alone on its first line",
             is_input ? "standard input" : credential->file);
    return -EINVAL;
}

int credential_read(struct credential *credential, const char *environment, struct buf *why)
{
    if (credential->said) {
        buf_add_lit(why, "--token is not taken, since all users of this machine can read a command "
                         "line: write the key or token into a file and say --token-file FILE, or "
                         "set FRESHET_TOKEN");
        return -EINVAL;
    }
    if (credential->file)
        return read_file(credential, why);
    credential->text = environment;
    if (!credential->text || server_url_token_valid(credential->text))
        return 0;
    buf_add_lit(why,
                "FRESHET_TOKEN holds a blank, or another character that no key and no token has");
    return -EINVAL;
}

void credential_deinit(struct credential *credential)
{
    first_line_free(credential->own);
    credential->own = NULL;
    credential->text = NULL;
}
