/* Preloaded into a node. The file CUSTODIA_NODE_CLOCKS holds two numbers of nanoseconds: CLOCK_MONOTONIC is behind by the first, as
   after a suspension of the machine, and CLOCK_REALTIME is ahead by the second. All other clocks are true. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

struct shift {
    int64_t monotonic_behind;
    int64_t realtime_ahead;
};

static const volatile struct shift *shift;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("CUSTODIA_NODE_CLOCKS");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *shift, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED)
        shift = page;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int64_t ahead = 0;
    if (syscall(SYS_clock_gettime, clock, now) != 0)
        return -1;
    if (shift && clock == CLOCK_MONOTONIC)
        ahead = -shift->monotonic_behind;
    if (shift && clock == CLOCK_REALTIME)
        ahead = shift->realtime_ahead;
    if (ahead) {
        int64_t at = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec + ahead;
        now->tv_sec = at / 1000000000;
        now->tv_nsec = at % 1000000000;
    }
    return 0;
}
