#include "http/forwarded.h"

#include "http/token.h"

static bool is_quote(struct str text, size_t at)
{
    size_t escapes = 0;
    if (text.at[at] != '"')
        return false;
    while (escapes < at && text.at[at - 1 - escapes] == '\\')
        escapes++;
    return escapes % 2 == 0;
}

/* Takes what stands behind the last comma off the end; within quotes commas do not count. */
static struct str take_last(struct str *rest, bool has_quotes)
{
    size_t at = rest->len;
    bool quoted = false;
    while (at && (quoted || rest->at[at - 1] != ',')) {
        at--;
        quoted ^= has_quotes && is_quote(*rest, at);
    }
    struct str last = str_trim(str_skip(*rest, at));
    *rest = at ? (struct str){rest->at, at - 1} : STR_NONE;
    return last;
}

/* The field of that name before the last that was read. */
static bool take_field(struct http_forwarded *walk, struct str name)
{
    while (walk->field && !walk->rest.at) {
        const struct http_field *field = &walk->fields->at[--walk->field];
        if (http_field_is(field, name))
            walk->rest = field->value;
    }
    return walk->rest.at;
}

static struct str unquote(struct str text)
{
    bool quoted = text.len > 1 && text.at[0] == '"' && text.at[text.len - 1] == '"';
    return quoted ? (struct str){text.at + 1, text.len - 2} : text;
}

/* Takes a parameter off the front, up to a semicolon outside quotes. False: a quote is left open.
 */
static bool take_parameter(struct str *element, struct str *ret)
{
    struct str whole = *element;
    size_t at = 0;
    bool quoted = false;
    for (; at < whole.len && (quoted || whole.at[at] != ';'); at++)
        quoted ^= is_quote(whole, at);
    *ret = (struct str){whole.at, at};
    *element = at < whole.len ? str_skip(whole, at + 1) : STR_NONE;
    return !quoted;
}

/* The value of a parameter of an element. A proxy may have written names that its client chose into
 * other parameters, so a quote in one of them must not pass for its end. An element whose quotes do
 * not match may have swallowed others, and has nothing. */
static struct str parameter_of(struct str element, struct str wanted)
{
    struct str value, found = STR_NONE;
    while (element.at) {
        if (!take_parameter(&element, &value))
            return STR("");
        struct str name = str_trim(str_cut(&value, '='));
        if (!found.at && value.at && str_eq_nocase(name, wanted))
            found = unquote(str_trim(value));
    }
    return found.at ? found : STR("");
}

/* Whether an address may end so: with nothing, or with a colon and a port. A proxy may hide the
 * port behind a name, as in `:_p` (RFC 7239, section 6). */
static bool is_port(struct str text)
{
    if (!text.len)
        return true;
    struct str port = str_skip(text, 1);
    bool is_hidden = str_starts(port, STR("_")) && http_all(port, HTTP_CHAR_HOST);
    return text.at[0] == ':' && (is_hidden || http_all(port, HTTP_CHAR_DIGIT));
}

/* An address without brackets may be IPv6 if it has more than one colon: then it has no port. */
static struct str without_port(struct str node)
{
    struct str address = node, port = STR("");
    if (node.len && node.at[0] == '[') {
        port = str_skip(node, 1);
        address = str_cut(&port, ']');
        if (!port.at)
            return STR("");
    } else {
        const char *colon = node.len ? memchr(node.at, ':', node.len) : NULL;
        size_t at = colon ? (size_t)(colon - node.at) : node.len;
        if (colon && !memchr(colon + 1, ':', node.len - at - 1)) {
            address.len = at;
            port = str_skip(node, at);
        }
    }
    return is_port(port) ? address : STR("");
}

/* Takes the element before, of the field with that name. False: there are no more. */
static bool take_element(struct http_forwarded *walk, struct str field, struct str *ret)
{
    *ret = STR("");
    while (!ret->len) {
        if (!take_field(walk, field))
            return false;
        *ret = take_last(&walk->rest, walk->is_standard);
    }
    return true;
}

bool http_forwarded_before(struct http_forwarded *walk, struct str *ret_address)
{
    struct str field = walk->is_standard ? STR("forwarded") : STR("x-forwarded-for"), element;
    if (!take_element(walk, field, &element))
        return false;
    *ret_address = without_port(walk->is_standard ? parameter_of(element, STR("for")) : element);
    return true;
}

/* The element of a field that is `steps` from its end, or the first. */
static struct str element_at(const struct http_fields *fields, bool is_standard, struct str field,
                             unsigned steps)
{
    struct http_forwarded walk = http_forwarded_walk(fields, is_standard);
    struct str element, found = STR("");
    while (steps-- && take_element(&walk, field, &element))
        found = element;
    return found;
}

struct str http_forwarded_proto(const struct http_fields *fields, bool is_standard, unsigned steps)
{
    if (is_standard)
        return parameter_of(element_at(fields, true, STR("forwarded"), steps), STR("proto"));
    return element_at(fields, false, STR("x-forwarded-proto"), steps);
}

struct str http_forwarded_host(const struct http_fields *fields, bool is_standard, unsigned steps)
{
    if (is_standard)
        return parameter_of(element_at(fields, true, STR("forwarded"), steps), STR("host"));
    return element_at(fields, false, STR("x-forwarded-host"), steps);
}
