// Threads, memory and time for the micro-benchmark: what Platform and ThreadTeam are to the kernels in Ferry, as small as possible.
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "ckernels.h"

static struct {
    size_t threads;
    atomic_long gate, next, inside;     // a call is open while the gate is odd
    void (*body)(const void *, size_t);
    const void *argument;
    size_t chunks;
} team;

static void claim(void) {
    for (;;) {
        size_t chunk = (size_t)atomic_fetch_add_explicit(&team.next, 1, memory_order_relaxed);
        if (chunk >= team.chunks) return;
        team.body(team.argument, chunk);
    }
}

static void *helper(void *unused) {
    for (long seen = 0;;) {
        long gate = atomic_load(&team.gate);
        if (gate == seen) { ck_pause(); continue; }
        seen = gate;
        if (gate % 2 == 0) continue;
        atomic_fetch_add(&team.inside, 1);
        if (atomic_load(&team.gate) == gate) claim();
        atomic_fetch_sub(&team.inside, 1);
    }
    return unused;
}

// Calls body(argument, i) for each i < chunks on all threads.
static void run(size_t chunks, void (*body)(const void *, size_t), const void *argument) {
    team.body = body, team.argument = argument, team.chunks = chunks;
    atomic_store(&team.next, 0);
    if (team.threads == 1 || chunks == 1) { claim(); return; }
    atomic_fetch_add(&team.gate, 1);
    claim();
    atomic_fetch_add(&team.gate, 1);
    while (atomic_load(&team.inside)) ck_pause();
}

static void start_team(size_t threads) {
    team.threads = threads;
    pthread_t thread;
    for (size_t i = 1; i < threads; i++)
        if (pthread_create(&thread, NULL, helper, NULL)) { fprintf(stderr, "cannot start thread %zu\n", i); exit(1); }
}

// Zeroed memory in huge pages, as Slab asks for it. Never freed: a case's memory serves the next.
static void *memory(size_t bytes) {
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) { fprintf(stderr, "no %zu bytes of memory\n", bytes); exit(1); }
    madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

// On one thread its processor time, which a neighbour on the machine cannot stretch; otherwise what the clock says.
static double now(void) {
    struct timespec t;
    clock_gettime(team.threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double median(double *x, size_t n) {
    for (size_t i = 1; i < n; i++)
        for (size_t j = i; j > 0 && x[j - 1] > x[j]; j--) { double t = x[j]; x[j] = x[j - 1]; x[j - 1] = t; }
    return x[n / 2];
}
