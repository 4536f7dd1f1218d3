#include "server/init.h"

#include "access/key_text.h"
#include "base/buf.h"
#include "base/command_line.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char file_name[] = "freshet.yaml";

const char init_help[] =
    "Usage: freshet init\n\n"
    "Writes freshet.yaml into this folder: rules by which everybody may read and keys may do\n"
    "everything, with a fresh key, which is printed this once. A file that is there is left\n"
    "alone.\n\n"
    "Exit codes: 0 it was written, 1 it could not be, 2 wrong usage.\n";

/* The file, of which the digest of the key is the only gap. */
static const char before_key[] =
    "# freshet: run it with `freshet serve --config freshet.yaml`, and test changes with\n"
    "# `freshet check --config freshet.yaml`. docs/configuration.md has all keys.\n"
    "\n"
    "# The three lines that most people need: where to listen, where the data is, and what\n"
    "# everybody may do without a credential.\n"
    "listen: 127.0.0.1:7070          # 0.0.0.0:7070 is every address of this machine\n"
    "data: ./freshet-data\n"
    "access: {anybody: [read]}       # [] is nothing; authenticated: [publish] is for all with a "
    "credential\n"
    "\n"
    "# Rules of some channels stand with their prefix. The longest prefix decides alone.\n"
    "# namespaces:\n"
    "#   - prefix: private\n"
    "#     access: {anybody: [], authenticated: [read]}\n"
    "\n"
    "# This file holds a hash of the key. The key itself was printed once, by `freshet init`; "
    "make\n"
    "# another one by `freshet key generate`. Send it as `Authorization: Bearer KEY`.\n"
    "keys:\n"
    "  - name: admin\n"
    "    key: ";
static const char behind_key[] =
    "\n"
    "    grants:\n"
    "      - channels: ['**']\n"
    "        may: [read, publish, presence, webhooks, admin]\n"
    "\n"
    "# The names by which clients call this server, beside localhost and its addresses:\n"
    "# hosts: [rt.example.org]\n"
    "\n"
    "# Websites whose pages may use the server from their visitors' browsers:\n"
    "# origins: [https://app.example]\n";

static int refuse(const char *why)
{
    fprintf(stderr, "freshet init: cannot write %s: %s\n", file_name, why);
    return 1;
}

static int refuse_folder(int error)
{
    char why[160];
    bool is_closed = error == EACCES || error == EPERM || error == EROFS;
    snprintf(why, sizeof(why), "%s%s", strerror(error),
             is_closed ? ". Go to a folder in which this user may write" : "");
    return refuse(why);
}

/* Writes all of the text into a new file. 0 or a negative errno. */
static int write_new(struct str text)
{
    int fd = open(file_name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    ssize_t n = write(fd, text.at, text.len);
    int result = n == (ssize_t)text.len ? 0 : n < 0 ? -errno : -ENOSPC;
    if (close(fd) && !result)
        result = -errno;
    if (result)
        (void)unlink(file_name);
    return result;
}

static int write_file(const struct key_digest *digest)
{
    char digest_text[KEY_DIGEST_LEN + 1];
    struct buf text = {0};
    key_digest_write(digest, digest_text);
    buf_add_str(&text, str_from(before_key));
    buf_addf(&text, "\"%s\"", digest_text);
    buf_add_str(&text, str_from(behind_key));
    int result = buf_failed(&text) ? -ENOMEM : write_new(buf_str(&text));
    buf_free(&text);
    return result;
}

int init_main(int argc, char **argv)
{
    char key[KEY_TEXT_LEN + 1];
    struct key_digest digest;
    if (argc > 1 && command_line_is_help(argv[1]))
        return fputs(init_help, stdout) < 0;
    if (argc > 1) {
        fprintf(stderr, "freshet init: \"%s\" is one word too many\nTry: freshet help init\n",
                argv[1]);
        return 2;
    }
    key_text_make(key, &digest);
    int result = write_file(&digest);
    int code =
        result == -EEXIST ? refuse("there is one already: move it away")
        : result
            ? refuse_folder(-result)
            : printf("wrote %s; its key, which is shown this once:\n\n  %s\n\n"
                     "  %s serve --config %s\n"
                     "  curl localhost:7070/channels/news -H 'Authorization: Bearer %s' -d hello\n"
                     "  curl -N 'localhost:7070/channels/news?stream=sse'\n",
                     file_name, key, program_invocation_name, file_name, key) < 0;
    explicit_bzero(key, sizeof(key));
    return code;
}
