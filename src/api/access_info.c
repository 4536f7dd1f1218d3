#include "api/access_info.h"

#include "api/authorization.h"
#include "api/metric.h"
#include "backend/jwks.h"

#include <stdio.h>

static struct token_cache_stats tokens_of(const struct api *api)
{
    return token_cache_stats(api->issuers ? api->issuers->cache : NULL);
}

static struct authorize_stats questions_of(const struct api *api)
{
    return authorize_stats(api->authorizers ? api->authorizers->authorize : NULL);
}

/* ---- /stats ---------------------------------------------------------------------------------- */

static void write_tokens(struct json_writer *writer, const struct token_cache_stats *stats)
{
    json_name(writer, "tokens");
    json_object_begin(writer);
    json_member_number(writer, "remembered", stats->found);
    json_member_number(writer, "verified", stats->missed);
    json_member_number(writer, "kept", stats->tokens);
    json_member_number(writer, "kept_bytes", stats->bytes);
    json_object_end(writer);
}

static void write_questions(struct json_writer *writer, const struct authorize_stats *stats)
{
    json_name(writer, "authorize");
    json_object_begin(writer);
    for (unsigned i = 0; i < AUTHORIZE_COUNT; i++)
        json_member_number(writer, authorize_count_names[i], stats->counts[i]);
    json_member_number(writer, "waiting", stats->waiting);
    json_member_number(writer, "waiting_bytes", stats->waiting_bytes);
    json_member_number(writer, "addresses", stats->addresses);
    json_member_number(writer, "kept", stats->kept);
    json_member_number(writer, "kept_bytes", stats->kept_bytes);
    json_object_end(writer);
}

static void write_key_sets(struct json_writer *writer, const struct jwks_stats *stats)
{
    json_name(writer, "key_sets");
    json_object_begin(writer);
    for (unsigned i = 0; i < JWKS_COUNT; i++)
        json_member_number(writer, jwks_count_names[i], stats->counts[i]);
    json_member_number(writer, "waiting", stats->waiting);
    json_member_number(writer, "addresses", stats->addresses);
    json_object_end(writer);
}

void access_info_write(struct json_writer *writer, const struct api *api)
{
    const struct token_cache_stats tokens = tokens_of(api);
    const struct authorize_stats questions = questions_of(api);
    const struct jwks_stats key_sets = jwks_stats(api->jwks);
    json_name(writer, "access");
    json_object_begin(writer);
    write_tokens(writer, &tokens);
    write_key_sets(writer, &key_sets);
    write_questions(writer, &questions);
    json_object_end(writer);
}

/* ---- /metrics -------------------------------------------------------------------------------- */

static void add_token_metrics(struct buf *out, const struct token_cache_stats *stats)
{
    metric_add(out, "tokens_remembered_total", "counter",
               "Tokens that were found among those verified before", stats->found);
    metric_add(out, "tokens_verified_total", "counter",
               "Tokens that were not, and were verified or refused", stats->missed);
    metric_add(out, "tokens_kept", "gauge", "Verified tokens that are remembered", stats->tokens);
    metric_add(out, "tokens_kept_bytes", "gauge", "Their memory", stats->bytes);
}

static void add_key_set_metrics(struct buf *out, const struct jwks_stats *stats)
{
    for (unsigned i = 0; i < JWKS_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof(name), "key_sets_%s_total", jwks_count_names[i]);
        metric_add(out, name, "counter", jwks_count_helps[i], stats->counts[i]);
    }
    metric_add(out, "key_sets_waiting", "gauge", "Tokens that wait for a fetch", stats->waiting);
    metric_add(out, "key_sets_addresses", "gauge", "Addresses that these come from",
               stats->addresses);
}

static void add_question_metrics(struct buf *out, const struct authorize_stats *stats)
{
    for (unsigned i = 0; i < AUTHORIZE_COUNT; i++) {
        char name[48];
        snprintf(name, sizeof(name), "authorize_%s_total", authorize_count_names[i]);
        metric_add(out, name, "counter", authorize_count_helps[i], stats->counts[i]);
    }
    metric_add(out, "authorize_waiting", "gauge", "Questions about access that wait",
               stats->waiting);
    metric_add(out, "authorize_waiting_bytes", "gauge", "Their memory", stats->waiting_bytes);
    metric_add(out, "authorize_addresses", "gauge", "Addresses that these come from",
               stats->addresses);
    metric_add(out, "authorize_kept", "gauge", "Answers about access that are kept", stats->kept);
    metric_add(out, "authorize_kept_bytes", "gauge", "Their memory", stats->kept_bytes);
}

void access_info_add_metrics(struct buf *out, const struct api *api)
{
    const struct token_cache_stats tokens = tokens_of(api);
    const struct authorize_stats questions = questions_of(api);
    const struct jwks_stats key_sets = jwks_stats(api->jwks);
    add_token_metrics(out, &tokens);
    add_key_set_metrics(out, &key_sets);
    add_question_metrics(out, &questions);
}
