#include "pages/pages.h"

const struct page_file *page_file_find(struct str path)
{
    for (size_t i = 0; i < page_files_count; i++)
        if (str_eq(path, str_from(page_files[i].path)))
            return &page_files[i];
    return NULL;
}

bool page_is_folder(struct str path)
{
    for (size_t i = 0; i < page_files_count; i++) {
        struct str own = str_from(page_files[i].path);
        if (own.len == path.len + 1 && own.at[path.len] == '/' && str_starts(own, path))
            return true;
    }
    return false;
}
