/* A VFS for SQLite whose disk fails when a test says so. For tests only. */
#pragma once

#include <errno.h>
#include <sqlite3.h>
#include <string.h>

/* Every operation that changes the disk counts; the `fail_at`th fails, and so do the `fail_for` - 1
 * after it. For tests of one thread at a time. */
struct faults {
    unsigned long count;
    unsigned long fail_at; /* 0: no fault */
    unsigned long fail_for;
    int code;            /* SQLITE_FULL, SQLITE_IOERR_… */
    int torn;            /* bytes of a write that fails are written first */
    unsigned long opens; /* files that were opened; these do not count as operations */
    /* Reads of these bytes of any file fail, a number of times. */
    sqlite3_int64 bad_from;
    sqlite3_int64 bad_upto;
    unsigned long bad_reads;
};

static struct faults faults;

struct faults_file {
    sqlite3_file base;
    int last_errno;
};

/* The file of the real VFS, placed behind this one. */
static sqlite3_file *faults_real(sqlite3_file *file)
{
    return (sqlite3_file *)(void *)((struct faults_file *)(void *)file + 1);
}

static int faults_due(void)
{
    faults.count++;
    return faults.fail_at && faults.count >= faults.fail_at &&
           faults.count < faults.fail_at + faults.fail_for;
}

static int faults_close(sqlite3_file *file)
{
    return faults_real(file)->pMethods->xClose(faults_real(file));
}

static int faults_read(sqlite3_file *file, void *out, int size, sqlite3_int64 at)
{
    if (faults.bad_reads && at < faults.bad_upto && at + size > faults.bad_from) {
        faults.bad_reads--;
        ((struct faults_file *)(void *)file)->last_errno = EIO;
        return SQLITE_IOERR_CORRUPTFS; /* like SQLite at EIO */
    }
    return faults_real(file)->pMethods->xRead(faults_real(file), out, size, at);
}

static int faults_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    int due = faults_due();
    int part = !due ? size : faults.torn < size ? faults.torn : size;
    int code =
        part ? faults_real(file)->pMethods->xWrite(faults_real(file), bytes, part, at) : SQLITE_OK;
    return due ? faults.code : code;
}

static int faults_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    return faults_due() ? faults.code
                        : faults_real(file)->pMethods->xTruncate(faults_real(file), size);
}

/* Skips the sync: written bytes outlive the process even if it is killed, and thousands of real
 * syncs would take minutes. */
static int faults_sync(sqlite3_file *file, int flags)
{
    (void)file;
    (void)flags;
    return faults_due() ? faults.code : SQLITE_OK;
}

static int faults_size(sqlite3_file *file, sqlite3_int64 *size)
{
    return faults_real(file)->pMethods->xFileSize(faults_real(file), size);
}

static int faults_lock(sqlite3_file *file, int level)
{
    return faults_real(file)->pMethods->xLock(faults_real(file), level);
}

static int faults_unlock(sqlite3_file *file, int level)
{
    return faults_real(file)->pMethods->xUnlock(faults_real(file), level);
}

static int faults_reserved(sqlite3_file *file, int *out)
{
    return faults_real(file)->pMethods->xCheckReservedLock(faults_real(file), out);
}

static int faults_control(sqlite3_file *file, int op, void *arg)
{
    int last_errno = ((struct faults_file *)(void *)file)->last_errno;
    if (op != SQLITE_FCNTL_LAST_ERRNO || !last_errno)
        return faults_real(file)->pMethods->xFileControl(faults_real(file), op, arg);
    *(int *)arg = last_errno;
    return SQLITE_OK;
}

static int faults_sector(sqlite3_file *file)
{
    return faults_real(file)->pMethods->xSectorSize(faults_real(file));
}

static int faults_traits(sqlite3_file *file)
{
    return faults_real(file)->pMethods->xDeviceCharacteristics(faults_real(file));
}

static int faults_shm_map(sqlite3_file *file, int at, int size, int extend, void volatile **out)
{
    return faults_real(file)->pMethods->xShmMap(faults_real(file), at, size, extend, out);
}

static int faults_shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    return faults_real(file)->pMethods->xShmLock(faults_real(file), offset, n, flags);
}

static void faults_shm_barrier(sqlite3_file *file)
{
    faults_real(file)->pMethods->xShmBarrier(faults_real(file));
}

static int faults_shm_unmap(sqlite3_file *file, int delete)
{
    return faults_real(file)->pMethods->xShmUnmap(faults_real(file), delete);
}

static sqlite3_vfs *faults_default(sqlite3_vfs *vfs)
{
    return vfs->pAppData;
}

static const sqlite3_io_methods faults_methods = {
    .iVersion = 2,
    .xClose = faults_close,
    .xRead = faults_read,
    .xWrite = faults_write,
    .xTruncate = faults_truncate,
    .xSync = faults_sync,
    .xFileSize = faults_size,
    .xLock = faults_lock,
    .xUnlock = faults_unlock,
    .xCheckReservedLock = faults_reserved,
    .xFileControl = faults_control,
    .xSectorSize = faults_sector,
    .xDeviceCharacteristics = faults_traits,
    .xShmMap = faults_shm_map,
    .xShmLock = faults_shm_lock,
    .xShmBarrier = faults_shm_barrier,
    .xShmUnmap = faults_shm_unmap,
};

static int faults_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *out)
{
    *(struct faults_file *)(void *)file = (struct faults_file){.base.pMethods = NULL};
    faults.opens++;
    int code = faults_default(vfs)->xOpen(faults_default(vfs), path, faults_real(file), flags, out);
    if (faults_real(file)->pMethods)
        file->pMethods = &faults_methods;
    return code;
}

static int faults_delete(sqlite3_vfs *vfs, const char *path, int sync)
{
    return faults_due() ? SQLITE_IOERR_DELETE
                        : faults_default(vfs)->xDelete(faults_default(vfs), path, sync);
}

/* Makes it the VFS of all connections opened from now on. */
static void faults_install(void)
{
    static sqlite3_vfs vfs;
    sqlite3_vfs *unix_vfs = sqlite3_vfs_find(NULL);
    vfs = *unix_vfs;
    vfs.zName = "faults";
    vfs.pAppData = unix_vfs;
    vfs.szOsFile = unix_vfs->szOsFile + (int)sizeof(struct faults_file);
    vfs.xOpen = faults_open;
    vfs.xDelete = faults_delete;
    sqlite3_vfs_register(&vfs, 1);
}

static inline void faults_set(unsigned long fail_at, unsigned long fail_for, int code)
{
    faults = (struct faults){.fail_at = fail_at, .fail_for = fail_for, .code = code};
}

/* The nth operation fails; if it is a write, so many bytes are written first. */
static inline void faults_tear(unsigned long nth, int torn)
{
    faults =
        (struct faults){.fail_at = nth, .fail_for = 1, .code = SQLITE_IOERR_WRITE, .torn = torn};
}

/* Makes a sector unreadable, for good or for a number of reads. */
static inline void faults_spoil(sqlite3_int64 at, sqlite3_int64 size, unsigned long times)
{
    faults = (struct faults){.bad_from = at, .bad_upto = at + size, .bad_reads = times};
}
