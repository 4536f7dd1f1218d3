/* Listening sockets in the file system.
 *
 * The socket is made beside its place, under another name, gets its rights there, and is then moved
 * into place: nobody finds it half made, and a file that a crash has left is replaced without a
 * moment in which there is none. A lock on the folder lets one process at a time do that. */
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/types.h>

/* A socket's rights, and, once it was made, what tells its file from another in the same place. */
struct unix_place {
    mode_t mode;
    gid_t group; /* (gid_t)-1: as the process has it */
    dev_t device;
    ino_t inode;
};

enum { UNIX_MODE_DEFAULT = 0660 };

/* The address of a path. -EINVAL if it is empty or too long. */
int unix_address(const char *path, struct sockaddr_storage *ret_address, socklen_t *ret_size);

/* The path of an address of this family, as it lies there. */
const char *unix_path(const struct sockaddr_storage *address);

/* Listens at the address; all threads accept from the one descriptor. -EADDRINUSE if a process
 * listens there, -EEXIST if something is there that is no socket, or another negative errno. */
int unix_listen(const struct sockaddr_storage *address, struct unix_place *place, int *ret_fd);

/* Removes the file, if it is still the one that was made. */
void unix_remove(const struct sockaddr_storage *address, const struct unix_place *place);

/* Whether users other than the owner and the group cannot connect. */
static inline bool unix_is_private(const struct unix_place *place)
{
    return !(place->mode & 07);
}
