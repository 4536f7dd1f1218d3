#include "http/accept.h"

#include "http/media.h"
#include "http/token.h"

/* An element of Accept. */
struct range {
    struct http_media media;
    unsigned quality; /* 0 to 1000 */
};

/* weight: 0 or 1, then at most three decimals (RFC 9110 section 12.4.2). */
static bool parse_quality(struct str text, unsigned *ret)
{
    unsigned quality = 0;
    if (text.len < 1 || text.len > 5 || (text.len > 1 && text.at[1] != '.'))
        return false;
    for (size_t i = 0; i < 5; i++) {
        char c = i < text.len ? text.at[i] : '0';
        if (i == 1)
            continue;
        if (c < '0' || c > '9')
            return false;
        quality = quality * 10 + (unsigned)(c - '0');
    }
    *ret = quality;
    return quality <= 1000;
}

/* Cuts off everything behind `q`: it is no parameter of the media type, and obsolete. */
static bool parse_range(struct str element, struct range *ret)
{
    struct str name, value;
    if (http_media_parse(element, &ret->media))
        return false;
    ret->quality = 1000;
    struct str rest = ret->media.params;
    for (const char *before = rest.at; http_param_next(&rest, &name, &value) > 0; before = rest.at)
        if (str_eq_nocase(name, STR("q"))) {
            ret->media.params.len = (size_t)(before - ret->media.params.at);
            return parse_quality(value, &ret->quality);
        }
    return true;
}

/* The number of the range's parameters, all of which `offer` has; -1 when it lacks one. */
static int match_params(const struct http_media *range, const struct http_media *offer)
{
    int count = 0;
    struct str rest = range->params, name, value;
    for (; http_param_next(&rest, &name, &value) > 0; count++) {
        struct str own = http_media_param(offer, name);
        if (!own.at && str_eq_nocase(name, STR("charset")))
            own = STR("utf-8");
        if (!own.at || !str_eq_nocase(own, value))
            return -1;
    }
    return count;
}

/* How exactly the range names `offer`; 0 if it does not match. */
static unsigned specificity(const struct http_media *range, const struct http_media *offer)
{
    if (str_eq(range->type, STR("*")))
        return str_eq(range->subtype, STR("*"));
    if (!str_eq_nocase(range->type, offer->type))
        return 0;
    if (str_eq(range->subtype, STR("*")))
        return 2;
    int params = match_params(range, offer);
    return str_eq_nocase(range->subtype, offer->subtype) && params >= 0 ? 3 + (unsigned)params : 0;
}

unsigned http_accept_quality(const struct http_fields *fields, struct str media_type,
                             unsigned *ret_specificity)
{
    struct http_media offer;
    struct range range;
    unsigned quality = 0, best = 0;
    bool readable = false;
    struct str value, element;
    if (http_media_parse(media_type, &offer))
        return 0;
    for (size_t pos = 0; http_fields_next(fields, STR("accept"), &pos, &value);)
        while (http_list_next(&value, &element)) {
            if (!parse_range(element, &range))
                continue;
            readable = true;
            unsigned exact = specificity(&range.media, &offer);
            if (exact > best || (exact && exact == best && range.quality > quality)) {
                best = exact;
                quality = range.quality;
            }
        }
    if (ret_specificity)
        *ret_specificity = best;
    return readable ? quality : 1000;
}

int http_accept_best(const struct http_fields *fields, const struct str *offers, size_t count)
{
    int found = -1;
    unsigned best_quality = 0, best_exact = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned exact = 0;
        unsigned quality = http_accept_quality(fields, offers[i], &exact);
        if (quality > best_quality || (quality && quality == best_quality && exact > best_exact)) {
            found = (int)i;
            best_quality = quality;
            best_exact = exact;
        }
    }
    return found;
}

/* The qualities of codings that a client has named; -1 for those that it has not. */
struct codings {
    int gzip;
    int identity;
    int others; /* by `*` */
};

/* Notes an element of Accept-Encoding; one that cannot be read is passed over. */
static void note_coding(struct codings *codings, struct str element)
{
    struct str params = element, name = str_cut(&params, ';'), key, value;
    unsigned quality = 1000;
    while (name.len && (name.at[name.len - 1] == ' ' || name.at[name.len - 1] == '\t'))
        name.len--;
    if (params.at) {
        struct str rest = str_skip(element, (size_t)(params.at - 1 - element.at));
        if (http_param_next(&rest, &key, &value) <= 0 || !str_eq_nocase(key, STR("q")) ||
            !parse_quality(value, &quality))
            return;
    }
    if (str_eq_nocase(name, STR("gzip")) || str_eq_nocase(name, STR("x-gzip")))
        codings->gzip = codings->gzip > (int)quality ? codings->gzip : (int)quality;
    else if (str_eq_nocase(name, STR("identity")))
        codings->identity = (int)quality;
    else if (str_eq(name, STR("*")))
        codings->others = (int)quality;
}

enum http_gzip_wish http_accept_gzip(const struct http_fields *fields)
{
    struct codings codings = {-1, -1, -1};
    struct str value, element;
    for (size_t pos = 0; http_fields_next(fields, STR("accept-encoding"), &pos, &value);)
        while (http_list_next(&value, &element))
            note_coding(&codings, element);
    int gzip = codings.gzip < 0 ? codings.others : codings.gzip;
    /* No coding is acceptable unless it is excluded, by name or by `*`. */
    int plain = codings.identity < 0 && !codings.others ? 0 : codings.identity;
    if (gzip <= 0 || gzip < plain)
        return HTTP_GZIP_NO;
    return plain ? HTTP_GZIP_YES : HTTP_GZIP_ONLY;
}

bool http_prefer(const struct http_fields *fields, struct str lowercase_name, struct str *ret_value)
{
    struct str list, element, name, value;
    for (size_t pos = 0; http_fields_next(fields, STR("prefer"), &pos, &list);)
        while (http_list_next(&list, &element))
            if (!http_pair(&element, &name, &value) && str_eq_nocase(name, lowercase_name)) {
                *ret_value = value;
                return true;
            }
    return false;
}

bool http_prefer_wait(const struct http_fields *fields, uint32_t *ret_seconds)
{
    struct str value;
    if (!http_prefer(fields, STR("wait"), &value) || !http_all(value, HTTP_CHAR_DIGIT))
        return false;
    uint64_t seconds;
    if (http_number(value, &seconds) || seconds > UINT32_MAX)
        seconds = UINT32_MAX;
    *ret_seconds = (uint32_t)seconds;
    return true;
}
