#include "access/authority.h"

#include "base/mem.h"

#include <stdlib.h>

void authority_add(struct authority *authority, struct identity_source *source)
{
    if (authority->sources_count == AUTHORITY_SOURCES_MAX)
        abort(); /* a part of the program was added without room for it */
    authority->sources[authority->sources_count++] = source;
}

struct identity authority_identify(const struct authority *authority,
                                   const struct credential *credential,
                                   struct identification *identification)
{
    if (credential->kind == CREDENTIAL_NONE)
        return identity_of(NULL);
    for (unsigned i = 0; i < authority->sources_count; i++) {
        struct identity_source *source = authority->sources[i];
        struct identity identity = source->identify(source, credential, identification);
        if (identity.state != IDENTITY_FOREIGN)
            return identity;
    }
    return (struct identity){.state = IDENTITY_FOREIGN,
                             .why =
                                 "no key and no token of this server looks like this credential"};
}

static void open_answer(struct mail *mail, void *owner)
{
    (void)owner;
    struct identification *identification = container_of(mail, struct identification, mail);
    identification->done(identification);
}

void identification_answer(struct identification *identification, struct identity identity)
{
    identification->identity = identity;
    identification->mail.open = open_answer;
    mailbox_post(identification->home, &identification->mail);
}
