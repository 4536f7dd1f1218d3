#include "api/describe/operation.h"
#include "api/webhooks.h"

static const struct parameter_doc deliveries_docs[] = {
    {"state", "only deliveries in this state; failed stands for failing and dead"},
    {"channel", "only those that carry events of this channel"},
    {"event", "only the one that carries this event"},
    {"before", "numbers below this one"},
    {"limit", "so many: 100 without it"},
};
static const struct query_doc deliveries_query = {webhooks_parameters, deliveries_docs, 5};

/* clang-format off */
#define IN_JSON(status, says, schema) {status, says, "application/json", schema, false, NULL}
#define DONE(says) {204, says, NULL, NULL, false, NULL}
#define ON_WEBHOOK(method_, below, id_) .route = "/webhooks", .method = HTTP_##method_, .path = "/webhooks/{webhook}" below, .id = (id_)
#define BAD PROBLEM_BIT(BAD_WEBHOOK)
#define SAVED PROBLEM_BIT(NO_SPACE)

static const struct operation operations[] = {
    {.route = "/webhooks", .method = HTTP_POST, .path = "/webhooks", .id = "createWebhook",
     .summary = "Have events sent to your URL",
     .doc = "The answer has the secret that verifies the signatures, this once. Then a ping is sent, signed like every delivery.",
     .curl = "curl localhost:7070/webhooks --json '{ \"url\": \"http://localhost:9000/hook\", \"channels\": [ \"orders/**\" ]}'",
     .headers = "Idempotency-Key",
     .bodies = {{"application/json", "NewWebhook"}},
     .answers = {{201, "It is made.", "application/json", "WebhookMade", false, "Location"},
                 {200, "The key was known: the webhook that was made then.", "application/json", "WebhookMade", false, "Location"}},
     .problems = BAD | SAVED | PROBLEM_BIT(BAD_KEY) | PROBLEM_BIT(BAD_CURSOR) | PROBLEM_BIT(FORBIDDEN_TARGET) | PROBLEM_BIT(KEY_REUSED)},
    {.route = "/webhooks", .method = HTTP_GET, .path = "/webhooks", .id = "listWebhooks",
     .summary = "List webhooks, with how far each is", .curl = "curl localhost:7070/webhooks",
     .answers = {IN_JSON(200, "All that the caller may see.", "WebhookList")}},
    {ON_WEBHOOK(GET, "", "readWebhook"), .summary = "Show a webhook",
     .curl = "curl localhost:7070/webhooks/wh_8f2k",
     .answers = {IN_JSON(200, "Its settings and its state.", "Webhook")}},
    {ON_WEBHOOK(PATCH, "", "changeWebhook"), .summary = "Change a webhook",
     .curl = "curl -X PATCH localhost:7070/webhooks/wh_8f2k --json '{ \"description\": \"orders to the warehouse\" }'",
     .bodies = {{"application/json", "WebhookChange"}},
     .answers = {IN_JSON(200, "As it is now.", "Webhook")},
     .problems = BAD | SAVED | PROBLEM_BIT(FORBIDDEN_TARGET)},
    {ON_WEBHOOK(DELETE, "", "deleteWebhook"), .summary = "Delete a webhook",
     .curl = "curl -X DELETE localhost:7070/webhooks/wh_8f2k",
     .answers = {DONE("It is gone.")}, .problems = SAVED},
    {ON_WEBHOOK(POST, "/ping", "pingWebhook"), .summary = "Send a signed ping, and see what comes back",
     .curl = "curl -X POST localhost:7070/webhooks/wh_8f2k/ping",
     .answers = {IN_JSON(200, "What came back.", "Pinged")}, .problems = BAD},
    {ON_WEBHOOK(POST, "/pause", "pauseWebhook"), .summary = "Hold a webhook",
     .curl = "curl -X POST localhost:7070/webhooks/wh_8f2k/pause",
     .answers = {IN_JSON(200, "As it is now.", "Webhook")}, .problems = BAD | SAVED},
    {ON_WEBHOOK(POST, "/resume", "resumeWebhook"), .summary = "Let it go on where it was",
     .curl = "curl -X POST localhost:7070/webhooks/wh_8f2k/resume",
     .answers = {IN_JSON(200, "As it is now.", "Webhook")}, .problems = BAD | SAVED},
    {ON_WEBHOOK(POST, "/rotate", "rotateWebhook"), .summary = "Make a new secret",
     .doc = "The secret that is replaced signs as well for 24 hours.",
     .curl = "curl -X POST localhost:7070/webhooks/wh_8f2k/rotate",
     .bodies = {{"application/json", "Rotate"}}, .may_lack_body = true,
     .answers = {IN_JSON(200, "With the new secret, which is shown this once.", "WebhookMade")}, .problems = BAD | SAVED},
    {ON_WEBHOOK(POST, "/replay", "replayWebhook"), .summary = "Go back to a position, or forward",
     .curl = "curl localhost:7070/webhooks/wh_8f2k/replay --json '{ \"after\": \"earliest\" }'",
     .bodies = {{"application/json", "Replay"}},
     .answers = {IN_JSON(200, "As it is now.", "Webhook")}, .problems = BAD | SAVED | PROBLEM_BIT(BAD_CURSOR)},
    {ON_WEBHOOK(POST, "/retry", "retryWebhook"), .summary = "Send all again that have failed",
     .curl = "curl -X POST localhost:7070/webhooks/wh_8f2k/retry",
     .answers = {IN_JSON(202, "So many are sent again.", "Retrying")}, .problems = BAD},
    {ON_WEBHOOK(GET, "/deliveries", "listDeliveries"), .summary = "What was sent, and what came back",
     .curl = "curl 'localhost:7070/webhooks/wh_8f2k/deliveries?state=failed'",
     .query = &deliveries_query,
     .answers = {IN_JSON(200, "Deliveries, the newest first.", "DeliveryList")}},
    {ON_WEBHOOK(GET, "/deliveries/{delivery}", "readDelivery"), .summary = "One of them",
     .curl = "curl localhost:7070/webhooks/wh_8f2k/deliveries/17",
     .answers = {IN_JSON(200, "With all its attempts.", "Delivery")}},
    {ON_WEBHOOK(DELETE, "/deliveries/{delivery}", "dropDelivery"), .summary = "Drop a dead letter that was dealt with otherwise",
     .curl = "curl -X DELETE localhost:7070/webhooks/wh_8f2k/deliveries/17",
     .answers = {DONE("It is dropped.")}, .problems = SAVED},
    {ON_WEBHOOK(POST, "/deliveries/{delivery}/retry", "retryDelivery"), .summary = "Send one again now",
     .curl = "curl -X POST localhost:7070/webhooks/wh_8f2k/deliveries/17/retry",
     .answers = {IN_JSON(202, "It is sent again.", "Retrying")}, .problems = BAD},
};

static const struct operation websub[] = {
    {.route = "/hub", .method = HTTP_POST, .path = "/hub", .id = "websub",
     .summary = "Subscribe to a topic, or end that",
     .doc = "The answer comes before the subscriber is asked whether it meant it.",
     .curl = "curl localhost:7070/hub -d hub.mode=subscribe -d hub.topic=http://localhost:7070/topics/news -d hub.callback=http://localhost:9000/hook",
     .bodies = {{"application/x-www-form-urlencoded", "HubForm"}},
     .answers = {{202, "The subscriber will be asked.", "text/plain", NULL, false, NULL}},
     .problems = PROBLEM_BIT(FORBIDDEN_TARGET)},
};
/* clang-format on */

const struct task task_webhooks = {
    "Webhooks", "The server calls you, and repeats that until you accept. You keep no cursor.",
    operations, sizeof(operations) / sizeof(operations[0])};
const struct task task_websub = {"WebSub", "The same, for clients that speak WebSub.", websub,
                                 sizeof(websub) / sizeof(websub[0])};
