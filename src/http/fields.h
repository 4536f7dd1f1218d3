/* The parts that request heads and response heads share: the end of the head, header fields, and
 * the framing of the body (RFC 9112 sections 2.2, 5 and 6). */
#pragma once

#include "base/str.h"

#include <stdint.h>

/* Room for header fields in the structures below, the upper bound of http_limits.fields_max. */
enum { HTTP_FIELDS_MAX = 100 };

/* Empty lines that are skipped before a request line (RFC 9112 section 2.2). */
enum { HTTP_EMPTY_LINES_MAX = 4 };

/* Bounds on the parts of a message from a stranger: bytes, except for `fields_max`, and each below
 * 2^30. */
struct http_limits {
    uint32_t line_max;      /* request or status line without its CRLF; more is 414 */
    uint32_t fields_max;    /* number of header fields, at most HTTP_FIELDS_MAX; more is 431 */
    uint32_t section_max;   /* all header lines and the empty line behind them; more is 431 */
    uint32_t chunk_ext_max; /* chunk extensions of one body, taken together */
    uint32_t trailer_max;   /* trailer section of one body */
};

#define HTTP_LIMITS_DEFAULT                                                                        \
    ((struct http_limits){.line_max = 8192,                                                        \
                          .fields_max = 64,                                                        \
                          .section_max = 32768,                                                    \
                          .chunk_ext_max = 4096,                                                   \
                          .trailer_max = 8192})

/* Why a head was refused. After a refusal the rest of the connection cannot be trusted to be
 * requests: answer with http_head_error_status() and http_head_error_detail(), then close. */
enum http_head_error {
    HTTP_E_LINE_END = 1,   /* a CR or LF that is not part of a CRLF */
    HTTP_E_EMPTY_LINES,    /* more than HTTP_EMPTY_LINES_MAX empty lines before the request line */
    HTTP_E_LINE_TOO_LONG,  /* 414: the start line is too long */
    HTTP_E_TOO_LARGE,      /* 431: the header section is too long */
    HTTP_E_TOO_MANY,       /* 431: too many header fields */
    HTTP_E_START_LINE,     /* the start line is not three parts with one space between */
    HTTP_E_METHOD,         /* the method is not a token */
    HTTP_E_TARGET,         /* not a request target, or not one for this method */
    HTTP_E_VERSION_SYNTAX, /* not HTTP/DIGIT.DIGIT */
    HTTP_E_VERSION,        /* 505: neither 1.0 nor 1.1 */
    HTTP_E_STATUS,         /* a response's status is not three digits from 100 to 599 */
    HTTP_E_FOLDED,         /* a header line begins with white space */
    HTTP_E_NAME,           /* a header name is not a token right before its colon */
    HTTP_E_VALUE,          /* a control character in a header value */
    HTTP_E_HOST_MISSING,
    HTTP_E_HOST_REPEATED,
    HTTP_E_HOST,                /* not host [":" port] */
    HTTP_E_LENGTH,              /* Content-Length is not a number, or too large */
    HTTP_E_LENGTH_REPEATED,     /* Content-Length comes twice, even with the same value */
    HTTP_E_ENCODING,            /* Transfer-Encoding is not exactly `chunked` */
    HTTP_E_CODING,              /* 501: a coding that exists but is not supported here */
    HTTP_E_ENCODING_AND_LENGTH, /* Transfer-Encoding and Content-Length together */
    HTTP_E_ENCODING_1_0,        /* Transfer-Encoding in HTTP/1.0 */
    HTTP_E_EXPECT,              /* 417: Expect is not `100-continue` */
    HTTP_E_COUNT,
};

/* The status to answer with: 400, 414, 417, 431, 501 or 505. */
int http_head_error_status(int error);

/* A sentence for people: what was wrong and what would be right. Static memory. */
struct str http_head_error_detail(int error);

/* The progress of the search for the end of a head; belongs to a connection. Zeroes before a head;
 * http_head_parse() and http_status_parse() reset it once a head was whole. */
struct http_scan {
    uint32_t at;     /* bytes that were searched */
    uint32_t fields; /* offset of the header lines; 0 until the first line is whole */
};

/* Where the parts of a whole head lie: offsets from where it began. */
struct http_extent {
    uint32_t start;  /* of the first line, behind any empty ones */
    uint32_t fields; /* of the header lines */
    uint32_t size;   /* with the empty line */
};

/* Continues the search for the empty line in the bytes that are new. `bytes` is everything since
 * the head began, and may have moved since the last call. Returns 0 with the extent filled,
 * -EAGAIN, or an enum http_head_error. */
int http_scan(struct http_scan *scan, struct str bytes, const struct http_limits *limits,
              struct http_extent *ret);

struct http_field {
    struct str name;  /* unchanged; compare without case */
    struct str value; /* without white space at both ends; may be empty */
    unsigned sort;    /* http_field_sort() of the name */
};

/* Header fields in the order in which they came, borrowed from the bytes of the head. */
struct http_fields {
    size_t count;
    uint64_t sorts;   /* a bit for each sort of name: most lookups are for names that are absent */
    uint64_t repeats; /* the same for the sorts of two fields or more */
    struct http_field at[HTTP_FIELDS_MAX];
};

/* Splits header lines, each with its CRLF, without the empty line at the end. Returns 0 or an enum
 * http_head_error. */
int http_fields_parse(struct str lines, const struct http_limits *limits, struct http_fields *ret);

/* The sort of a name, one of 64, whatever its case: a hash of length, first and last byte. Names of
 * different sorts differ. `name` is not empty. */
static inline unsigned http_field_sort(struct str name)
{
    unsigned first = (unsigned char)name.at[0] | 0x20U;
    unsigned last = (unsigned char)name.at[name.len - 1] | 0x20U;
    return ((unsigned)name.len + first * 3 + last * 5) & 63;
}

static inline bool http_field_is(const struct http_field *field, struct str lowercase_name)
{
    return field->sort == http_field_sort(lowercase_name) &&
           str_eq_nocase(field->name, lowercase_name);
}

/* Whether there may be a field of that name; false only if there is none. Inline, since a dozen
 * names are looked up for each request, and few are present. */
static inline bool http_fields_may_have(const struct http_fields *fields, struct str lowercase_name)
{
    return fields->sorts >> http_field_sort(lowercase_name) & 1;
}

/* http_fields_get() for a name that may be present. */
struct str http_fields_find(const struct http_fields *fields, struct str lowercase_name);

/* The value of the first field of that name; `at == NULL` if there is none. The name must be in
 * lower case. */
static inline struct str http_fields_get(const struct http_fields *fields,
                                         struct str lowercase_name)
{
    return http_fields_may_have(fields, lowercase_name) ? http_fields_find(fields, lowercase_name)
                                                        : STR_NONE;
}

/* http_fields_next() for a name that may be present. */
bool http_fields_find_next(const struct http_fields *fields, struct str lowercase_name, size_t *pos,
                           struct str *ret_value);

/* Walks the fields of a name: `*pos` begins as 0; returns false at the end. */
static inline bool http_fields_next(const struct http_fields *fields, struct str lowercase_name,
                                    size_t *pos, struct str *ret_value)
{
    return http_fields_may_have(fields, lowercase_name) &&
           http_fields_find_next(fields, lowercase_name, pos, ret_value);
}

/* Whether the field is there more than once. If only one is allowed, the caller must refuse:
 * choosing between them would be a guess. */
static inline bool http_fields_repeat(const struct http_fields *fields, struct str lowercase_name)
{
    struct str value;
    size_t pos = 0;
    return fields->repeats >> http_field_sort(lowercase_name) & 1 &&
           http_fields_find_next(fields, lowercase_name, &pos, &value) &&
           http_fields_find_next(fields, lowercase_name, &pos, &value);
}

/* Whether the comma-separated list of all fields of that name together has this element, compared
 * without case. */
bool http_fields_list_has(const struct http_fields *fields, struct str lowercase_name,
                          struct str element);

/* How the body ends, and whether the connection stays open behind it. */
struct http_framing {
    uint64_t content_length; /* 0 without Content-Length */
    bool has_content_length;
    bool chunked;    /* never together with has_content_length */
    bool keep_alive; /* by version and Connection (RFC 9112 section 9.3) */
};

/* Reads the framing from the fields of a message of HTTP/1.`minor`. Strict, because two readers
 * that disagree about the end of a body make request smuggling possible. Returns 0 or an enum
 * http_head_error. */
int http_framing_read(const struct http_fields *fields, int minor, struct http_framing *ret);

/* Reads `HTTP/1.x`. `*ret_minor` is 0, or 1 for 1.1 and any higher minor version (RFC 9110 section
 * 2.5). Returns 0 or an enum http_head_error. */
int http_version_parse(struct str text, int *ret_minor);
