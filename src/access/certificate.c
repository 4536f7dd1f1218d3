#include "access/certificate.h"

#include "access/revocations.h"

static struct identity identify(struct identity_source *source, const struct credential *credential,
                                struct identification *identification)
{
    const struct caller_facts facts = {.kind = CALLER_CERTIFICATE,
                                       .subject = credential->text,
                                       .issued_us = credential->since_us,
                                       .expires_us = credential->until_us};
    (void)source;
    (void)identification;
    if (credential->kind != CREDENTIAL_CERTIFICATE)
        return (struct identity){.state = IDENTITY_FOREIGN};
    if (!revoked_name_valid(credential->text))
        return identity_bad("the client certificate names nobody: its subject has no common name, "
                            "or one that is too long or has control characters");
    struct caller *caller = caller_new(&facts);
    return caller ? identity_of(caller)
                  : (struct identity){.state = IDENTITY_UNAVAILABLE, .why = "no memory: try again"};
}

struct identity_source certificate_source(void)
{
    return (struct identity_source){.name = "certificates", .identify = identify};
}
