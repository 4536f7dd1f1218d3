#include "base/nearest.h"

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* The optimal string alignment distance, row by row: `rows[0]` is being filled, the others are the
 * two rows before it. */
unsigned nearest_distance(struct str a, struct str b)
{
    unsigned rows[3][NEAREST_LEN_MAX + 1] = {0};
    if (a.len > NEAREST_LEN_MAX || b.len > NEAREST_LEN_MAX)
        return NEAREST_LEN_MAX + 1;
    for (unsigned j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        memcpy(rows[2], rows[1], sizeof(rows[0]));
        memcpy(rows[1], rows[0], sizeof(rows[0]));
        rows[0][0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            bool same = a.at[i - 1] == b.at[j - 1];
            bool swapped =
                i > 1 && j > 1 && a.at[i - 1] == b.at[j - 2] && a.at[i - 2] == b.at[j - 1];
            rows[0][j] = least(least(rows[1][j], rows[0][j - 1]) + 1, rows[1][j - 1] + !same);
            if (swapped)
                rows[0][j] = least(rows[0][j], rows[2][j - 2] + 1);
        }
    }
    return rows[0][b.len];
}

void nearest_offer(struct nearest *nearest, struct str candidate)
{
    unsigned distance = nearest_distance(nearest->name, candidate);
    if (!nearest_is_near(nearest->name, distance) ||
        (nearest->best.len && distance >= nearest->distance))
        return;
    nearest->best = candidate;
    nearest->distance = distance;
}
