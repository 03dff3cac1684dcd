/* Preloaded into a node: CLOCK_MONOTONIC is behind by the nanoseconds that stand in the file CUSTODIA_STOPPED_CLOCK, as after a
   suspension of the machine. All other clocks are true. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *behind;

__attribute__((constructor)) static void attach(void) {
    const char *path = getenv("CUSTODIA_STOPPED_CLOCK");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, sizeof *behind, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED)
        behind = page;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (syscall(SYS_clock_gettime, clock, now) != 0)
        return -1;
    if (clock == CLOCK_MONOTONIC && behind) {
        int64_t at = (int64_t)now->tv_sec * 1000000000 + now->tv_nsec - *behind;
        now->tv_sec = at / 1000000000;
        now->tv_nsec = at % 1000000000;
    }
    return 0;
}
