#include "api/describe/operation.h"
#include "api/presence.h"

static const struct parameter_doc presence_docs[] = {
    {"as", "the name under which a caller without a credential is a member"},
    {"limit", "members a page: 100 without it; a page ends earlier where it has 256 KiB"},
    {"list", "0: the counts alone"},
    {"after_member", "members behind this one, as the link rel=next has it"},
    {"after_verified", "whether that one is verified"},
    {"marks", "1: also how far each has read who has said so"},
    {"after_mark", "read marks behind that of this member"},
    {"after_mark_verified", "whether that one is verified"},
};
static const struct query_doc get_query = {presence_parameters, presence_docs, 8};
static const struct query_doc put_query = {presence_parameters_of_me, presence_docs, 1};

/* clang-format off */
static const struct operation operations[] = {
    {.route = "/presence", .method = HTTP_GET, .path = "/presence/{channel}", .id = "readPresence",
     .summary = "Who is on a channel",
     .doc = "The members now, and how many listen without a name. Follow $presence/CHANNEL behind the cursor of the answer, and you miss nobody.",
     .curl = "curl localhost:7070/presence/chat/17",
     .query = &get_query,
     .answers = {{200, "The members, by name.", "application/json", "Presence", false, NULL}},
     .problems = PROBLEM_BIT(BAD_CHANNEL) | PROBLEM_BIT(NO_PRESENCE)},
    {.route = "/presence", .method = HTTP_PUT, .path = "/presence/{channel}/me", .id = "setPresence",
     .summary = "Tell a state, or how far you have read",
     .doc = "A state takes a subscription to the channel. A read mark never goes back, and stays when you are gone.",
     .curl = "curl -X PUT 'localhost:7070/presence/chat/17/me?as=ada' --json '{ \"read\": \"0000000000000001\" }'",
     .query = &put_query,
     .bodies = {{"application/json", "PresenceChange"}},
     .answers = {{200, "The member, as it is now.", "application/json", "Member", false, NULL}},
     .problems = PROBLEM_BIT(BAD_CHANNEL) | PROBLEM_BIT(NO_PRESENCE) | PROBLEM_BIT(NOT_A_MEMBER) | PROBLEM_BIT(PRESENCE_SHARE) | PROBLEM_BIT(BAD_JSON) | PROBLEM_BIT(BAD_CURSOR)},
};
/* clang-format on */

const struct task task_presence = {"Presence", "Who is there, and how far they have read.",
                                   operations, sizeof(operations) / sizeof(operations[0])};
