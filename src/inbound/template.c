#include "inbound/template.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "http/media.h"
#include "http/target.h"
#include "http/token.h"

#include <errno.h>
#include <stdlib.h>

/* ---- reading a template ---------------------------------------------------------------------- */

static const struct {
    struct str word;
    enum template_part_kind kind;
    bool dotted; /* a name follows, behind a dot */
} words[] = {
    {{"source", 6}, TEMPLATE_SOURCE, false},       {{"header", 6}, TEMPLATE_HEADER, true},
    {{"body", 4}, TEMPLATE_MEMBER, true},          {{"form", 4}, TEMPLATE_FORM, true},
    {{"timestamp", 9}, TEMPLATE_TIMESTAMP, false}, {{"body", 4}, TEMPLATE_BODY, false},
    {{"query", 5}, TEMPLATE_QUERY, true},          {{"value", 5}, TEMPLATE_VALUE, false},
    {{"hash", 4}, TEMPLATE_HASH, false},           {{"secret", 6}, TEMPLATE_SECRET, false},
};

static bool name_is_fine(enum template_part_kind kind, struct str name)
{
    if (kind == TEMPLATE_HEADER)
        return http_all(name, HTTP_CHAR_TOKEN);
    return name.len > 0;
}

/* Reads the text between braces. */
static bool read_reference(struct str text, unsigned allowed, struct template_part *ret)
{
    struct str name = text;
    struct str word = str_cut(&name, '.');
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        bool dotted = name.at != NULL;
        if (!str_eq(words[i].word, word) || words[i].dotted != dotted || !(words[i].kind & allowed))
            continue;
        *ret = (struct template_part){words[i].kind, name};
        return !dotted || name_is_fine(words[i].kind, name);
    }
    return false;
}

static void lower(struct str text)
{
    char *at = (char *)(uintptr_t)text.at; /* a cast, because the text is our own copy */
    for (size_t i = 0; i < text.len; i++)
        at[i] = ascii_lower(at[i]);
}

static const char *add_part(struct template *template, struct template_part part)
{
    if (part.kind == TEMPLATE_TEXT && !part.text.len)
        return NULL;
    if (template->count == TEMPLATE_PARTS_MAX)
        return "a template has at most 16 parts";
    if (part.kind == TEMPLATE_HEADER)
        lower(part.text);
    template->parts[template->count++] = part;
    return NULL;
}

static const char *what_may_stand(unsigned allowed)
{
    if (allowed & TEMPLATE_BODY)
        return "between braces stands timestamp, body or header.NAME";
    if (allowed & TEMPLATE_HASH)
        return "between braces stands value or hash";
    if (allowed & TEMPLATE_SECRET)
        return "between braces stands value or secret";
    return allowed & TEMPLATE_QUERY
               ? "between braces stands source, query.NAME, header.NAME, body.A.B or form.NAME"
               : "between braces stands source, header.NAME, body.A.B or form.NAME";
}

static const char *read_parts(struct template *template, struct str rest, unsigned allowed)
{
    const char *why = NULL;
    while (rest.at && !why) {
        struct template_part part = {TEMPLATE_TEXT, str_cut(&rest, '{')};
        if (memchr(part.text.at, '}', part.text.len))
            return "a } has no { before it";
        why = add_part(template, part);
        if (why || !rest.at)
            continue;
        if (!rest.len || !memchr(rest.at, '}', rest.len))
            return "a { has no } behind it";
        if (!read_reference(str_cut(&rest, '}'), allowed, &part))
            return what_may_stand(allowed);
        why = add_part(template, part);
    }
    return why;
}

int template_compile(struct str text, unsigned allowed, struct template *ret, const char **ret_why)
{
    struct template template = {0};
    if (!text.len || text.len > TEMPLATE_TEXT_MAX) {
        *ret_why = "a template has 1 to 512 bytes";
        return -EINVAL;
    }
    template.text = mem_try_alloc(text.len);
    if (!template.text)
        return -ENOMEM;
    memcpy(template.text, text.at, text.len);
    *ret_why = read_parts(&template, (struct str){template.text, text.len}, allowed);
    if (*ret_why) {
        template_free(&template);
        return -EINVAL;
    }
    *ret = template;
    return 0;
}

void template_free(struct template *template)
{
    free(template->text);
    *template = (struct template){0};
}

/* ---- looking into the request ---------------------------------------------------------------- */

static bool is_json(struct str text)
{
    return !json_check(text, JSON_DEPTH_MAX, NULL);
}

/* Finds the first member of that name and decodes it into `out`. */
static bool form_value(struct str form, struct str name, struct buf *out)
{
    struct str raw_name, raw_value;
    while (http_query_next(&form, &raw_name, &raw_value))
        if (http_query_name_is(raw_name, name))
            return http_query_decode(raw_value, out) == 0;
    return false;
}

static bool is_form(const struct inbound_request *request)
{
    struct http_media media;
    struct str type = http_fields_get(request->fields, STR("content-type"));
    return type.len && !http_media_parse(type, &media) &&
           str_eq_nocase(media.full, STR("application/x-www-form-urlencoded"));
}

int template_view_init(struct template_view *view, struct str source,
                       const struct inbound_request *request)
{
    *view = (struct template_view){.source = source, .request = request};
    if (!is_form(request)) {
        view->json = is_json(inbound_content(request)) ? inbound_content(request) : STR_NONE;
        return 0;
    }
    view->form = inbound_content(request);
    /* GitHub and Slack put their JSON into a form's member of this name, if they send forms. */
    if (form_value(view->form, STR("payload"), &view->room) && is_json(buf_str(&view->room)))
        view->json = buf_str(&view->room);
    if (!buf_failed(&view->room))
        return 0;
    template_view_deinit(view);
    return -ENOMEM;
}

void template_view_deinit(struct template_view *view)
{
    buf_free(&view->room);
}

static bool holds(struct str json, char open)
{
    json = json_skip_space(json);
    return json.len && json.at[0] == open;
}

/* Takes a step into a value. Of members with the same name the last one counts, as in JSON.parse.
 * STR_NONE if there is none. */
static struct str step(struct str json, struct str name)
{
    struct str key, value, found = STR_NONE;
    uint64_t index = 0, wanted = 0;
    bool array = holds(json, '[');
    if (!array && !holds(json, '{'))
        return STR_NONE;
    if (array && http_number(name, &wanted))
        return STR_NONE;
    for (size_t pos = 0; json_next(json, &pos, &key, &value); index++)
        if (array ? index == wanted : str_eq(key, name))
            found = value;
    return found;
}

static struct str find_member(struct str json, struct str path)
{
    while (json.at && path.at)
        json = step(json, str_cut(&path, '.'));
    return json;
}

static bool add_member(struct str json, struct buf *out)
{
    if (!json.at || !json.len || strchr("{[n", json.at[0]))
        return false; /* a container or null cannot be part of a name */
    if (json.at[0] == '"')
        return json_unescape(json, out) == 0;
    buf_add_str(out, json);
    return true;
}

/* ---- looking up many references at once ------------------------------------------------------ */

static const struct template_want *find_want(const struct template_view *view,
                                             const struct template_part *part)
{
    for (size_t i = 0; i < view->wants_count; i++) {
        const struct template_want *want = &view->wants[i];
        if (want->part.kind == part->kind && str_eq(want->part.text, part->text))
            return want;
    }
    return NULL;
}

static void add_wants(struct template_view *view, const struct template *template)
{
    for (size_t i = 0; i < template->count; i++) {
        const struct template_part *part = &template->parts[i];
        bool looks = part->kind == TEMPLATE_MEMBER || part->kind == TEMPLATE_FORM;
        if (looks && view->wants_count < TEMPLATE_WANTS_MAX && !find_want(view, part))
            view->wants[view->wants_count++] =
                (struct template_want){.part = *part, .value = STR_NONE, .rest = part->text};
    }
}

/* Whether the raw name may be `name`. The first byte tells most names apart, unless it is
 * escaped. */
static bool may_be(struct str name_raw, struct str name)
{
    return name_raw.len >= name.len &&
           (name_raw.at[0] == name.at[0] || name_raw.at[0] == '%' || name_raw.at[0] == '+');
}

static void look_into_form(struct template_view *view)
{
    struct str form = view->form, name, value;
    while (http_query_next(&form, &name, &value)) {
        for (size_t i = 0; i < view->wants_count; i++) {
            struct template_want *want = &view->wants[i];
            struct str wanted = want->part.text;
            if (want->found || want->part.kind != TEMPLATE_FORM || !may_be(name, wanted) ||
                !http_query_name_is(name, wanted))
                continue;
            want->value = value;
            want->found = true;
        }
    }
}

static bool has(uint64_t set, size_t i)
{
    return set >> i & 1;
}

/* Takes the next step off each path; paths that cannot be in this value leave the set. */
static uint64_t begin_step(struct template_view *view, bool array, uint64_t set)
{
    for (size_t i = 0; i < view->wants_count; i++) {
        struct template_want *want = &view->wants[i];
        if (!has(set, i))
            continue;
        want->value = STR_NONE;
        want->head = str_cut(&want->rest, '.');
        if (array && http_number(want->head, &want->index))
            set &= ~(UINT64_C(1) << i);
    }
    return set;
}

/* Takes a step into a value for the whole set. Of members with the same name the last one
 * counts. */
static void step_all(struct template_view *view, struct str json, uint64_t set)
{
    struct str key, value;
    bool array = holds(json, '[');
    set = begin_step(view, array, set);
    if (!array && !holds(json, '{'))
        return;
    uint64_t index = 0;
    for (size_t pos = 0; set && json_next(json, &pos, &key, &value); index++) {
        for (size_t i = 0; i < view->wants_count; i++) {
            struct template_want *want = &view->wants[i];
            if (has(set, i) && (array ? want->index == index : str_eq(key, want->head)))
                want->value = value;
        }
    }
}

/* The members of the set whose paths continue in the same value as that of `first`. */
static uint64_t that_go_on(const struct template_view *view, uint64_t set, size_t first)
{
    uint64_t group = 0;
    for (size_t i = first; i < view->wants_count; i++) {
        const struct template_want *want = &view->wants[i];
        if (has(set, i) && want->rest.at && want->value.at == view->wants[first].value.at)
            group |= UINT64_C(1) << i;
    }
    return group;
}

/* Looks up the whole set, whose paths continue in this value. The recursion is as deep as a path,
 * which comes from the configuration. */
static void look_into(struct template_view *view, struct str json, uint64_t set)
{
    step_all(view, json, set);
    for (size_t i = 0; i < view->wants_count; i++) {
        const struct template_want *want = &view->wants[i];
        if (!has(set, i) || !want->rest.at || !want->value.at)
            continue;
        uint64_t group = that_go_on(view, set, i);
        set &= ~group;
        look_into(view, want->value, group);
    }
}

void template_view_look(struct template_view *view, const struct template *const *templates,
                        size_t count)
{
    uint64_t members = 0;
    for (size_t i = 0; i < count; i++)
        add_wants(view, templates[i]);
    for (size_t i = 0; i < view->wants_count; i++)
        if (view->wants[i].part.kind == TEMPLATE_MEMBER)
            members |= UINT64_C(1) << i;
    if (view->json.at && members)
        look_into(view, view->json, members);
    if (view->form.at)
        look_into_form(view);
}

static bool add_from_form(const struct template_view *view, const struct template_part *part,
                          struct buf *out)
{
    const struct template_want *want = find_want(view, part);
    if (!want)
        return form_value(view->form, part->text, out);
    return want->found && http_query_decode(want->value, out) == 0;
}

static bool add_from_json(const struct template_view *view, const struct template_part *part,
                          struct buf *out)
{
    const struct template_want *want = find_want(view, part);
    return add_member(want ? want->value : find_member(view->json, part->text), out);
}

static bool add_value(const struct template_part *part, const struct template_view *view,
                      struct buf *out)
{
    struct str value = STR_NONE;
    switch (part->kind) {
    case TEMPLATE_MEMBER:
        return add_from_json(view, part, out);
    case TEMPLATE_FORM:
        return add_from_form(view, part, out);
    case TEMPLATE_HEADER:
        value = http_fields_get(view->request->fields, part->text);
        break;
    case TEMPLATE_QUERY:
        return form_value(view->request->query, part->text, out);
    case TEMPLATE_SOURCE:
        value = view->source;
        break;
    case TEMPLATE_VALUE:
        value = view->value;
        break;
    case TEMPLATE_HASH:
        value = view->hash;
        break;
    case TEMPLATE_SECRET:
        value = view->secret;
        break;
    case TEMPLATE_TEXT:
    case TEMPLATE_TIMESTAMP:
    case TEMPLATE_BODY:
        break;
    }
    buf_add_str(out, value);
    return value.len > 0;
}

/* ---- making values fit ----------------------------------------------------------------------- */

static bool fits_type(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
}

/* Cuts the value before a character that does not fit as a whole. */
static struct str cut(struct str value)
{
    if (value.len <= TEMPLATE_VALUE_MAX)
        return value;
    value.len = TEMPLATE_VALUE_MAX;
    while (value.len && (value.at[value.len] & 0xc0) == 0x80)
        value.len--;
    return value;
}

static void add_for_type(struct buf *out, struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        buf_add_char(out, fits_type(value.at[i]) ? value.at[i] : '_');
}

static bool is_control(struct str value, size_t at)
{
    unsigned char c = (unsigned char)value.at[at];
    bool c1 = c == 0xc2 && at + 1 < value.len && (unsigned char)value.at[at + 1] < 0xa0;
    return c < 0x20 || c == 0x7f || c1;
}

/* Adds a value to a channel's name. The value can neither begin a segment nor be a special one. */
static void add_for_channel(struct buf *out, struct str value)
{
    bool dots = str_eq(value, STR(".")) || str_eq(value, STR(".."));
    bool utf8 = utf8_valid(value);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.at[i];
        bool control = is_control(value, i);
        bool bad = dots || control || c == '/' || c == '*' || (c == '$' && i == 0) ||
                   (!utf8 && (c & 0x80));
        buf_add_char(out, bad ? '-' : c);
        if (control && (unsigned char)c == 0xc2)
            i++; /* skip the byte that makes it a control character */
    }
}

static void add_fit(struct buf *out, enum template_use use, struct str value)
{
    if (use == TEMPLATE_KEY)
        buf_add_str(out, value);
    else if (use == TEMPLATE_TYPE)
        add_for_type(out, cut(value));
    else
        add_for_channel(out, cut(value));
}

bool template_render(const struct template *template, const struct template_view *view,
                     enum template_use use, struct buf *out)
{
    struct buf value = {0};
    bool whole = true;
    for (size_t i = 0; i < template->count; i++) {
        const struct template_part *part = &template->parts[i];
        if (part->kind == TEMPLATE_TEXT) {
            buf_add_str(out, part->text);
            continue;
        }
        buf_clear(&value);
        bool there = add_value(part, view, &value) && value.len;
        whole = whole && there;
        if (buf_failed(&value))
            out->failed = true;
        else if (there)
            add_fit(out, use, buf_str(&value));
        else if (use != TEMPLATE_KEY)
            buf_add_lit(out, "none");
    }
    buf_free(&value);
    return whole;
}
