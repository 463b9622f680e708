/* Preloaded into a server under measurement: a disk whose every flush takes FLUSH_DELAY_MICROSECONDS longer.
 * Test disks flush in 30 microseconds; real ones without power-loss protection take 0.5 to 10 milliseconds. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

static void wait_as_a_slow_disk(void) {
    const char *text = getenv("FLUSH_DELAY_MICROSECONDS");
    long microseconds = text ? atol(text) : 0;
    struct timespec delay = {microseconds / 1000000, microseconds % 1000000 * 1000};
    if (microseconds > 0) nanosleep(&delay, NULL);
}

int fsync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    wait_as_a_slow_disk();
    return next(file);
}

int fdatasync(int file) {
    static int (*next)(int);
    if (!next) next = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    wait_as_a_slow_disk();
    return next(file);
}
