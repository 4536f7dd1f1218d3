#include "bench/usage.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

/* Sums the numbers behind `name`, on all lines of a file that begin with it. */
static uint64_t sum_of(const char *path, const char *name)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    char line[512];
    uint64_t sum = 0, value;
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0 &&
            sscanf(line + strlen(name), "%" SCNu64, &value) == 1)
            sum += value;
    fclose(file);
    return sum;
}

/* CPU time in nanoseconds; /proc/PID/stat counts only in ticks of 10 ms. */
static uint64_t cpu_of(pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    uint64_t sum = 0;
    for (struct dirent *task; tasks && (task = readdir(tasks));) {
        char stat[64 + sizeof(task->d_name)];
        snprintf(stat, sizeof(stat), "/proc/%d/task/%s/schedstat", (int)pid, task->d_name);
        if (task->d_name[0] != '.')
            sum += sum_of(stat, "");
    }
    if (tasks)
        closedir(tasks);
    return sum;
}

static void add_memory(struct usage *usage, pid_t pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
    usage->rss_bytes += sum_of(path, "Rss:") * 1024;
    usage->data_bytes += (sum_of(path, "Pss_Anon:") + sum_of(path, "Pss_Shmem:")) * 1024;
}

/* Bytes of the pages that sockets hold: `mem` in the line of TCP, which covers IPv4 and IPv6. */
static uint64_t socket_bytes(void)
{
    FILE *file = fopen("/proc/net/sockstat", "re");
    char line[512];
    uint64_t pages = 0;
    while (file && fgets(line, sizeof(line), file)) {
        const char *mem = strncmp(line, "TCP:", 4) == 0 ? strstr(line, " mem ") : NULL;
        if (mem)
            sscanf(mem, " mem %" SCNu64, &pages);
    }
    if (file)
        fclose(file);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

struct usage usage_read(const pid_t *pids, size_t count, bool memory)
{
    struct usage usage = {0};
    for (size_t i = 0; i < count; i++) {
        usage.cpu_ns += cpu_of(pids[i]);
        if (memory)
            add_memory(&usage, pids[i]);
    }
    if (memory)
        /* Slabs that can be reclaimed are the cache of files, which a log on disk fills. */
        usage.kernel_bytes = socket_bytes() + sum_of("/proc/meminfo", "SUnreclaim:") * 1024;
    return usage;
}

uint64_t usage_own_cpu_ns(void)
{
    struct rusage own;
    getrusage(RUSAGE_SELF, &own);
    return (uint64_t)(own.ru_utime.tv_sec + own.ru_stime.tv_sec) * 1000000000 +
           (uint64_t)(own.ru_utime.tv_usec + own.ru_stime.tv_usec) * 1000;
}
