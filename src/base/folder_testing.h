/* For tests only: a folder that goes, with all that is in it, when its test ends. */
#pragma once

#include <ftw.h>
#include <stdio.h>

static inline int folder_testing_remove_one(const char *path, const struct stat *info, int type,
                                            struct FTW *ftw)
{
    (void)info;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* Removes the folder, with the folders below it; follows no links. */
static inline void folder_testing_remove(const char *dir)
{
    nftw(dir, folder_testing_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}
