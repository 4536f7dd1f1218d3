#include "bench/bench.h"

#include "bench/course.h"
#include "bench/report.h"

#include "client/lib/interrupt.h"

#include "base/command_line.h"
#include "base/environment.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

const char bench_help[] =
    "Usage: freshet bench [URL] [options]\n\n"
    "Makes a load on a running server (FRESHET_URL, else http://127.0.0.1:7070), and measures\n"
    "rates and latency. Every subscriber checks that it gets every event once and in order; if\n"
    "one does not, the exit code is 1. Channels are below bench/, and new ones for every run.\n\n"
    "  --via sse|ndjson|raw|poll|ws  how events come (sse)\n"
    "  --subscribers N               each of one channel, in turn (100)\n"
    "  --channels C                  (1)\n"
    "  --rate R                      events a second in all (100)\n"
    "  --flat-out                    instead: as fast as the answers come\n"
    "  --waves N                     instead: one at a time, each once all have the one before\n"
    "  --size B                      bytes of data in an event (100)\n"
    "  --publishers P                connections that publish (1)\n"
    "  --in-flight F                 requests of each that are not yet answered (16)\n"
    "  --batch N                     events in a request, by POST /events (1)\n"
    "  --random                      channels at random instead of in turn\n"
    "  --spin                        never sleep, so that waking up is no part of the latency\n"
    "  --seconds S                   how long (10)\n"
    "  --events N                    or how many events\n"
    "  --warm-up MS                  before it is measured (500)\n"
    "  --matching names|patterns     subscribers so that channels have one to ten of them, by\n"
    "                                name, or each by a pattern of its own\n"
    "  --prime                       one event on every channel beforehand\n"
    "  --wide N, --pattern N         subscribers of all channels: by name, by one pattern\n"
    "  --sleepers N                  subscribers that never read\n"
    "  --first N, --late N           N events on the first channel beforehand; subscribers that\n"
    "                                come during the load, all at once, and want them\n"
    "  --streams N                   subscribers share connections of HTTP/2, N of them each\n"
    "  --opening N                   connections that are opened at a time (256)\n"
    "  --settle MS                   between opening and load (200)\n"
    "  --patience S                  without progress until what is missing is lost (10)\n"
    "  --pid PID                     the server's process, to account for; may be repeated\n"
    "  --json                        the result as JSON\n" CREDENTIAL_HELP TRUST_HELP
    "  --target freshet|nchan|pushpin|bare, --publish-url URL\n"
    "                                other servers, as bench/ of the sources starts them\n";

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit))
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static int run(const struct plan *plan)
{
    struct interrupt interrupt;
    if (interrupt_init(&interrupt)) {
        perror("freshet bench");
        return 1;
    }
    raise_file_limit();
    struct load load;
    struct buf report = {0};
    struct progress progress;
    progress_init(&progress, "freshet bench", clock_system(), progress_terminal());
    int result = course_run(&load, plan, interrupt.fd, &progress);
    progress_end(&progress);
    if (plan->json)
        report_json(&report, &load, result);
    else if (load.to.time_ns)
        report_text(&report, &load, result);
    else if (result != -ECANCELED)
        fprintf(stderr, "freshet bench: %.*s\n", STR_FMT(buf_str(&load.why)));
    fwrite(report.at, 1, report.len, stdout);
    int code = result == -ECANCELED ? 130 : result || !load_is_perfect(&load) ? 1 : 0;
    buf_free(&report);
    course_deinit(&load);
    interrupt_deinit(&interrupt);
    return code;
}

int bench_main(int argc, char **argv)
{
    struct plan plan;
    struct buf why = {0};
    int result = plan_read(argc, argv, environment("FRESHET_URL"), environment("FRESHET_TOKEN"),
                           &plan, &why);
    int code = result ? command_line_end(result, "freshet bench", &why, bench_help,
                                         "Try: freshet help bench\n")
                      : run(&plan);
    credential_deinit(&plan.credential);
    buf_free(&why);
    return code;
}
