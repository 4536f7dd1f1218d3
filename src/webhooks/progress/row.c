#include "webhooks/progress/row.h"

#include <stdlib.h>

void endpoint_row_free(struct endpoint_row *row)
{
    free(row->url);
    free(row->channels);
    free(row->types);
    free(row->headers);
    free(row->description);
    free(row->schedule);
    free(row->topic);
    free(row->hub_secret);
    olds_free(&row->olds);
    caller_unref(row->maker);
}
